/** What has a table and saves it as one file. */
import { saveTable, type SavedCard, type TableColumn } from './tables.js'
import { Tabular } from './tabular.js'

export abstract class SavedTable extends Tabular {
  /** What the table is, its columns, and the cards of what it was made from. */
  protected abstract saved(): { what: string; columns: readonly TableColumn[]; cards: readonly SavedCard[] }

  /**
   * Writes table() by the path's ending, .arrow or .parquet, the cards and what each column means in the schema's metadata (zslab.table,
   * JSON). Returns the path. Errors: 'invalid' for another ending, 'file' where it cannot be written.
   */
  async save(path: string): Promise<string> {
    const { what, columns, cards } = this.saved()
    return saveTable(path, what, columns, this.table(), cards)
  }
}
