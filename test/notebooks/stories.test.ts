/** Notebooks 02 to 07: each runs from top to bottom, and what its story rests on holds in what it wrote. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { comesWith, joined, printed, readNotebook, ROOT, valueOf } from './notebook.js'
import { story } from './story.js'

story('02-what-left', ['survival', 'needle', 'regret', 'split', 'map', 'lineage'], (cells) => {
  it('knows the needle with everything, not with 20% and 10%, and no token is lost in silence', () => {
    const lines = printed(cells().answers).trim().split('\n')
    assert.match(lines[0], /^full cache: .*copper lantern/i)
    assert.equal(lines.filter((line) => /^ZSMerge .*copper lantern/i.test(line)).length, 0)
    assert.equal(lines.filter((line) => /receipt ok/.test(line)).length, 3)
  })

  it('finds the needle blurred nearly everywhere, with fewer heads that keep it under the tighter budget', () => {
    const [, kept, blurred] = /kept ([\d.]+)%, blurred in merged slots ([\d.]+)%/.exec(
      joined(valueOf(cells().autopsy)!['text/plain']),
    )!
    assert.ok(Math.abs(Number(kept) + Number(blurred) - 100) < 0.2 && Number(kept) < 25)
    const rows = printed(cells()['by-token-counts']).trim().split('\n').slice(1)
    const sums = [1, 2].map((column) =>
      rows.reduce((sum, row) => sum + Number(row.trim().split(/\s+/).at(column - 3)), 0),
    )
    assert.ok(rows.length > 5 && sums[0] > sums[1] && sums[1] > 0, sums.join())
  })

  it('names a head that wanted a lost word most, and follows that word to its slot', () => {
    const [, word, layer, kvHead] = /^"(.+?)" +layer (\d+), kv head (\d+) +\d+% after ".+" in step \d+\n/.exec(
      printed(cells().worst),
    )!
    const event = joined(valueOf(cells().event)!['text/plain'])
    const row = event.split('\n')[1].split('\t')
    assert.deepEqual([row[1], row[2], row[4].trim()], [layer, kvHead, word.trim()])
    assert.match(event, /\tmerge\tscore\t/)
    const lineage = joined(valueOf(cells().lineage)!['text/plain'])
    assert.ok(lineage.startsWith(`Lineage of slot ${row[8]} in layer ${layer}, kv head ${kvHead} `), lineage)
    assert.match(lineage, /key gap σ [\d.]+ nats/)
    const then = printed(cells()['cache-then'])
    assert.ok(then.includes(' · ') && !then.includes(`${word} `), then)
  })

  it('ends with what left, when, why and what of it was missed, as the autopsy and the shadow have it', () => {
    const [left, when, why, missed] = printed(cells()['answer-why'])
      .trim()
      .split('\n')
      .map((line) => line.match(/\d+/g)!.map(Number))
    assert.ok(left[0] < left[1] && left[0] > 0.75 * left[1])
    assert.ok(when[1] >= left[0] && when[0] > 0.9 * when[1] && when[0] <= when[1])
    assert.ok(why[0] <= when[1] && why[0] > 0.9 * when[1])
    assert.ok(missed[0] > 0 && missed[0] < 0.1 * left[0] && missed[1] <= missed[0])
  })
})

story('03-heads', ['ablation', 'passport', 'agreement', 'silence', 'cache', 'budgets'], (cells) => {
  it('has the order of ablation do least damage where heads are silent, and not where caches are small', () => {
    // Of the lines after the table's head; less damage than random orders: an interval below 0.
    const first = (id: string) => joined(valueOf(cells()[id])!['text/plain']).split('\n')[5]
    assert.match(first('silence-words'), /^ablation .* the least +\[−[\d.]+, −[\d.]+\]$/)
    assert.match(first('cache-words'), /^duoOnTheFly .* the least +\[−[\d.]+, −[\d.]+\]$/)
  })

  it('finds early heads among the first that the others give up, and ablation’s worst last by its own order', () => {
    const lines = printed(cells().early).trim().split('\n')
    assert.match(lines.find((line) => line.startsWith('ablation'))!, / 0 of 68; 270 of 270$/)
    assert.match(lines.find((line) => line.startsWith('sinkMass'))!, / 26 of 68; /)
  })

  it('has what measures anew as a parameter', () => {
    const { cells: all } = readNotebook(join(ROOT, 'notebooks/03-heads.ipynb'))
    const tagged = all.filter(({ metadata }) => metadata?.tags?.includes('parameters'))
    assert.deepEqual(tagged.map(({ source }) => joined(source)), ['let fresh = Boolean(process.env.ZSLAB_FRESH)'])
  })

  it('compares budgets of about as many bytes', () => {
    const text = joined(valueOf(cells().compared)!['text/plain'])
    const slots = [...text.matchAll(/; ([\d,]+) slots/g)].map(([, count]) => Number(count.replace(',', '')))
    assert.equal(slots.length, 3)
    assert.ok(Math.max(...slots) < 1.02 * Math.min(...slots), String(slots))
  })
})

story('04-merging', ['split', 'young'], (cells) => {
  const rows = (id: string) => printed(cells()[id]).trim().split('\n')

  it('compares the four corners with dropping, with intervals over at least eight texts', () => {
    const [, texts] = /over (\d+) texts/.exec(rows('corners-table')[0])!
    assert.ok(Number(texts) >= 8 && rows('texts-read').filter(Boolean).length >= 8)
    const found = rows('corners-table')
      .slice(2)
      .map((row) => /^(.+?) {2,}([\d.]+) \[.+\] +([\d.]+) \[([\d.]+), ([\d.]+)\]: (worse|better|cannot be told)/.exec(row)!)
    assert.deepEqual(
      found.map(([, name]) => name),
      ['mean key, no bias', 'mean key, bias', 'fixed key, no bias', 'fixed key, bias'],
    )
    for (const [, name, , ...numbers] of found) {
      const [factor, low, high] = numbers.slice(0, 3).map(Number)
      assert.ok(low <= factor && factor <= high, name)
      assert.equal(numbers[3], low > 1 ? 'worse' : high < 1 ? 'better' : 'cannot be told', name)
    }
    assert.equal(found[3][6], 'worse')
  })

  it("splits the heads' own error into parts that add up", () => {
    const [error, dropped, merged, repaired] = rows('local').map((row) => Number(row.trim().split(/\s+/)[1]))
    assert.ok(Math.abs(dropped + merged + repaired - error) < 0.002)
    assert.ok(repaired < 0)
  })

  it('finds one corner of the eight better than dropping by much, and an oracle of merged slots that wins something', () => {
    const [dropping, ...found] = rows('eight-table').slice(1)
    assert.match(dropping, /^dropping +[\d.]+$/)
    const row = /^keys (mean|fixed), values (mean|fixed), bias (on|off) +([\d.]+) +([−+])([\d.]+) \[.+\]: (worse|better|cannot be told)$/
    const corners = found.map((line) => row.exec(line)!)
    assert.equal(new Set(corners.map(([, ...how]) => how.slice(0, 3).join())).size, 8)
    const by = corners.map(([, , , , , sign, points]) => (sign === '−' ? -1 : 1) * Number(points))
    assert.ok(by[0] < -3 && corners[0][7] === 'better' && by.slice(1).every((points) => points > -1), by.join())
    const oracles = joined(valueOf(cells().oracles)!['text/plain'])
    assert.match(oracles, /^Oracles of 15 kv heads, judged on 2 steps/)
    assert.match(oracles, /bias of merged slots alone: [\d.]+%, the run won [\d.]+% of that/)
  })

  it('counts from the tape what the figure of survival says left at once, more under tighter budgets and beyond chance', () => {
    const lines = rows('young')
    assert.deepEqual(
      lines.filter((line) => !line.startsWith(' ')),
      ['20%, elsewhere 15%', '10%, elsewhere 34%', '5%, elsewhere 48%'],
    )
    const found = lines
      .filter((line) => line.startsWith(' '))
      .map((line) => / (\d+) of (\d+), ([\d.]+)% \(by chance ([\d.]+)%\)/.exec(line)!)
    const shares = found.map(([, young, all]) => Number(young) / Number(all))
    assert.equal(shares.length, 9)
    for (const [i, [, , , share, chance]] of found.entries()) {
      assert.ok(Number(share) > 2 * Number(chance))
      assert.ok(Math.abs(Number(share) / 100 - shares[i]) < 0.001)
      if (i >= 3) assert.ok(shares[i] > shares[i - 3], shares.join())
    }
    const [, least, most] = /^(\d+)% \(20%\) to (\d+)% \(5%\) of what left/.exec(
      joined(valueOf(cells()['young-figure'])!['text/plain']),
    )!
    assert.deepEqual([Number(least), Number(most)], [Math.round(100 * shares[2]), Math.round(100 * shares[8])])
  })

  it('says what was missed of the young and of the older', () => {
    const [young, older] = rows('missed-table').map((row) => /(\d+) tokens, regret per step (\S+) in the mean/.exec(row)!)
    for (const [, count, regret] of [young, older]) assert.ok(Number(count) > 100 && Number(regret) > 0)
  })
})

story('05-ablation', ['exploring', 'confirming'], (cells) => {
  const rows = (id: string) => printed(cells()[id]).trim().split('\n')
  const INTERVAL = /([+−][\d.]+) \[([+−][\d.]+), ([+−][\d.]+)\]/
  const numbers = (text: string) =>
    INTERVAL.exec(text)!
      .slice(1)
      .map((one) => Number(one.replace('−', '-')))

  it('measures nothing that comes with it', () => comesWith('05-ablation', cells().plan))

  it('turns eight dimensions on 32 texts, sixteen of which confirm', () => {
    assert.match(joined(valueOf(cells().plan)!['text/plain']), /^64 settings on 32 prompts of 32 clusters/)
    assert.equal(joined(valueOf(cells().run)!['text/plain']).split(' resolution 5 of ')[1].split('; ').length, 8 + 1)
    for (const id of ['exploring-figure', 'confirming-figure'])
      assert.match(joined(valueOf(cells()[id])!['text/plain']), /of 36 effects on kl can be told/)
    assert.match(joined(valueOf(cells().chosen)!['text/plain']), /where it was not, .* \(16 clusters\)$/)
  })

  it('asks again what the one half named, and says of each whether it holds', () => {
    const again = rows('asked-again').slice(1)
    for (const row of again) {
      const [mean, low, high] = numbers(row)
      const [, p, verdict] = /, p ([\d.e-]+): (holds|cannot be told)$/.exec(row)!
      assert.ok(low <= mean && mean <= high, row)
      assert.equal(verdict, Number(p) <= 0.05 ? 'holds' : 'cannot be told')
    }
    assert.equal(again.filter((row) => row.endsWith('holds')).length, 15)
  })

  it('rests its answer on what it printed', () => {
    const compensation = rows('compensation-table').map(numbers)
    assert.ok(compensation.slice(0, 3).every(([, low]) => low > 0) && compensation[3][2] < 0)
    const [all, last] = rows('memory-table').map(numbers)
    assert.ok(all[1] > 0 && last[1] < 0 && last[2] > 0)
    assert.match(rows('perplexity')[0], /^0 of 36 /)
    const { cells: own } = readNotebook(join(ROOT, 'notebooks/05-ablation.ipynb'))
    const answer = joined(own.find(({ id }) => id === 'answer')!.source)
    const chosen = joined(valueOf(cells().chosen)!['text/plain']).split('\n').at(-1)!
    const said = [...answer.matchAll(/([\d.]+) \[([\d.]+), ([\d.]+)\]/g)]
    for (const [i, found] of [all, compensation[3], numbers(chosen)].entries()) {
      const [mean, ...ends] = found.map(Math.abs)
      for (const [at, value] of [mean, Math.min(...ends), Math.max(...ends)].entries())
        assert.ok(Math.abs(Number(said[i][at + 1]) - value) < 6e-4, `${said[i][0]} beside ${found.join()}`)
    }
  })
})

story('06-policies', ['frontier'], (cells) => {
  const rows = (id: string) => printed(cells()[id]).trimEnd().split('\n')
  const DIFFERENCE = /([+−][\d.]+) \[([+−][\d.]+), ([+−][\d.]+)\]/
  const found = (line: string) =>
    DIFFERENCE.exec(line)!
      .slice(1)
      .map((one) => Number(one.replace('−', '-')))

  it('measures nothing that comes with it', () => comesWith('06-policies', cells().plan))

  it('compares nine methods whose bytes differ by less than 2.5%', () => {
    const shares = rows('bytes-table')
      .slice(2)
      .map((row) => [...row.matchAll(/(-?[\d.]+)%/g)].map(([, share]) => Math.abs(Number(share))))
    assert.equal(shares.length, 9)
    assert.ok(shares.every((of) => of.length === 3 && Math.max(...of) < 2.5))
  })

  it('rests its answer on paired differences that Holm tells from nothing', () => {
    const lines = rows('paired-table')
    const compared = lines.filter((line) => line.startsWith('  '))
    assert.equal(compared.length, 3 * 8)
    for (const line of compared) {
      const [mean, low, high] = found(line)
      const [, p, verdict] = /, p ([\d.e-]+): (better|worse|cannot be told)$/.exec(line)!
      assert.ok(low <= mean && mean <= high, line)
      assert.equal(verdict, Number(p) > 0.05 ? 'cannot be told' : mean < 0 ? 'better' : 'worse')
    }
    const verdicts = (method: string) =>
      compared.filter((line) => line.trim().startsWith(method)).map((line) => line.split(': ').at(-1))
    for (const method of ['SnapKV', 'AdaKV', 'StreamingLLM', 'random'])
      assert.deepEqual(verdicts(method), ['worse', 'worse', 'worse'], method)
    assert.deepEqual(verdicts('TOVA').slice(1), ['worse', 'worse'])
    assert.deepEqual(verdicts('ZSMerge, dropped'), ['better', 'better', 'cannot be told'])
    const apart = rows('apart-table').map(found)
    assert.ok(apart.slice(0, 3).every(([mean]) => Math.abs(mean) < 0.002) && apart[3][1] > 0)
  })
})

story('07-turns', ['turns'], (cells) => {
  const rows = (id: string) => printed(cells()[id]).trim().split('\n')

  it('measures nothing that comes with it', () => {
    comesWith('07-turns-session', cells().plan, 300e3)
    comesWith('07-turns-requests', cells()['plan-requests'], 300e3)
  })

  it('asks three questions in two modes of a model that can answer them, and rests its answer on what it printed', () => {
    const modes = rows('turns-table').filter((row) => !row.startsWith(' '))
    assert.deepEqual(
      modes.map((row) => row.split(':')[0]),
      ['session', 'requests'],
    )
    for (const row of modes) assert.ok(Number(row.split(' ').at(-1)) > 0.8, row)
    const { cells: own } = readNotebook(join(ROOT, 'notebooks/07-turns.ipynb'))
    const answer = joined(own.find(({ id }) => id === 'answer')!.source)
    const said = answer.match(/[+−][\d.]+ \[[+−][\d.]+, [+−][\d.]+\]/g)!
    const found = [...rows('turns-table'), ...rows('later-table')].join('\n')
    assert.ok(said.length >= 7)
    for (const one of said) assert.ok(found.includes(one), one)
  })
})
