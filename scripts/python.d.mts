/** What TypeScript uses of python.mjs. */

/** The absolute path of program `name`, from PATH; undefined where there is none. */
export function findTool(name: string): string | undefined

/** What tests open saved traces with. */
export const READERS: readonly string[]

/** Those of `packages` (`name==version`) that `.venv` does not hold in just that version. */
export function missing(root: string, packages: readonly string[]): string[]

/** Installs `packages` into `.venv` under `root`, made where missing. Returns undefined, or why it could not. */
export function pip(
  root: string,
  packages: readonly string[],
  options?: { dependencies?: boolean },
): Promise<string | undefined>
