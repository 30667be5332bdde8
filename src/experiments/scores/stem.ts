/**
 * Porter's stemmer (Porter 1980, Program 14 (3), 130–137) with the changes of NLTK's default mode, which is what rouge-score stems by: npm's stemmers have
 * Porter's own rules, and say 'enjoi' of 'enjoy' and 'di' of 'dies'.
 */

/** Words that no rule comes near. */
const IRREGULAR: Readonly<Record<string, string>> = {
  sky: 'sky',
  skies: 'sky',
  dying: 'die',
  lying: 'lie',
  tying: 'tie',
  news: 'news',
  inning: 'inning',
  innings: 'inning',
  outing: 'outing',
  outings: 'outing',
  canning: 'canning',
  cannings: 'canning',
  howe: 'howe',
  proceed: 'proceed',
  exceed: 'exceed',
  succeed: 'succeed',
}

/** 'c' of a consonant, 'v' of a vowel; y is a vowel after a consonant. */
function kinds(word: string): string {
  let found = ''
  for (const letter of word) found += 'aeiou'.includes(letter) || (letter === 'y' && found.endsWith('c')) ? 'v' : 'c'
  return found
}

/** How often a vowel is followed by a consonant: Porter's m. */
const measure = (stem: string) => kinds(stem).split('vc').length - 1

const hasVowel = (stem: string) => kinds(stem).includes('v')
const doubleConsonant = (word: string) => word.at(-1) === word.at(-2) && kinds(word).endsWith('c')
/** Porter's *o, consonant, vowel, consonant, and NLTK's words of a vowel and a consonant. */
const short = (word: string) => {
  const found = kinds(word)
  return (found.endsWith('cvc') && !/[wxy]$/.test(word)) || found === 'vc'
}

/** What replaces a suffix, where what stands before it fits. */
type Rule = readonly [suffix: string, by: string, fits?: (stem: string) => boolean]

/** The first rule whose suffix the word has is the only one that is tried. */
function byRules(word: string, rules: readonly Rule[]): string {
  for (const [suffix, by, fits] of rules) {
    if (!word.endsWith(suffix)) continue
    const stem = word.slice(0, word.length - suffix.length)
    return !fits || fits(stem) ? stem + by : word
  }
  return word
}

const some = (stem: string) => measure(stem) > 0
const more = (stem: string) => measure(stem) > 1
const all = (fits: (stem: string) => boolean, suffixes: Readonly<Record<string, string>>): Rule[] =>
  Object.entries(suffixes).map(([suffix, by]) => [suffix, by, fits])

const PLURALS: readonly Rule[] = [
  ['sses', 'ss'],
  ['ies', 'i'],
  ['ss', 'ss'],
  ['s', ''],
]

const LONG: readonly Rule[] = [
  ...all(some, {
    ational: 'ate',
    tional: 'tion',
    enci: 'ence',
    anci: 'ance',
    izer: 'ize',
    bli: 'ble',
    alli: 'al',
    entli: 'ent',
    eli: 'e',
    ousli: 'ous',
    ization: 'ize',
    ation: 'ate',
    ator: 'ate',
    alism: 'al',
    iveness: 'ive',
    fulness: 'ful',
    ousness: 'ous',
    aliti: 'al',
    iviti: 'ive',
    biliti: 'ble',
    fulli: 'ful',
  }),
  // Its l counts: geo- and theo- are as archaeo-.
  ['logi', 'log', (stem) => some(`${stem}l`)],
]

const MIDDLE = all(some, { icate: 'ic', ative: '', alize: 'al', iciti: 'ic', ical: 'ic', ful: '', ness: '' })

const LAST: readonly Rule[] = 'al ance ence er ic able ible ant ement ment ent ion ou ism ate iti ous ive ize'
  .split(' ')
  .map((suffix) => [suffix, '', suffix === 'ion' ? (stem) => more(stem) && /[st]$/.test(stem) : more])

function pastAndGoing(word: string): string {
  if (word.endsWith('ied')) return word.slice(0, word.length === 4 ? -1 : -2)
  if (word.endsWith('eed')) return some(word.slice(0, -3)) ? word.slice(0, -1) : word
  const suffix = ['ed', 'ing'].find((end) => word.endsWith(end) && hasVowel(word.slice(0, -end.length)))
  if (suffix === undefined) return word
  const stem = word.slice(0, -suffix.length)
  if (/(at|bl|iz)$/.test(stem)) return `${stem}e`
  if (doubleConsonant(stem)) return /[lsz]$/.test(stem) ? stem : stem.slice(0, -1)
  return measure(stem) === 1 && short(stem) ? `${stem}e` : stem
}

function longer(word: string): string {
  const stem = word.slice(0, -2)
  return word.endsWith('alli') && some(word.slice(0, -4)) ? longer(stem) : byRules(word, LONG)
}

function withoutE(word: string): string {
  if (!word.endsWith('e')) return word
  const stem = word.slice(0, -1)
  return more(stem) || (some(stem) && !short(stem)) ? stem : word
}

/** Of a word in lower case. */
export function stem(word: string): string {
  if (Object.hasOwn(IRREGULAR, word)) return IRREGULAR[word]
  if (word.length < 3) return word
  const single = word.endsWith('ies') && word.length === 4 ? word.slice(0, -1) : byRules(word, PLURALS)
  const present = pastAndGoing(single)
  const i = byRules(present, [['y', 'i', (before) => before.length > 1 && kinds(before).endsWith('c')]])
  const e = withoutE(byRules(byRules(longer(i), MIDDLE), LAST))
  return e.endsWith('ll') && more(e.slice(0, -1)) ? e.slice(0, -1) : e
}
