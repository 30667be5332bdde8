/** A process of its own that locates a model of the catalogue given as JSON; prints what it found or the error's code. */
import { locateIn } from '../../../src/model/sources.js'
import type { PackagedModel } from '../../../src/model/catalogue.js'

const model = JSON.parse(process.argv[2]) as PackagedModel
try {
  const { path } = await locateIn([model], model.name)
  console.log(JSON.stringify({ path }))
} catch (error) {
  const { code, message } = error as Error & { code?: string }
  console.log(JSON.stringify({ code, message }))
}
