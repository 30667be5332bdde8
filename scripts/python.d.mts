/** What TypeScript uses of python.mjs. */

/** The absolute path of program `name`, from PATH; undefined where there is none. */
export function findTool(name: string): string | undefined
