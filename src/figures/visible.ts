/** Tokens as they can be shown. */

/** A token's text as it can stand on a line: line ends and tabs shown, never empty. */
export function visible(text: string): string {
  const shown = text
    .replace(/\r\n|\r|\n/g, '⏎')
    .replace(/\t/g, '⇥')
    .replace(/[\u0000-\u001f\u007f]/g, '\ufffd')
  return shown === '' ? '∅' : shown
}
