/** An error as messages of Jupyter carry it. */
export interface ErrorContent {
  ename: string
  evalue: string
  traceback: string[]
}
