// Stands in for xlsx, which is not in the package registry: reading and writing spreadsheets says what to use instead.
'use strict'
function refuse() {
  throw new Error('Excel files are not supported here: use CSV (readCSV, toCSV) or JSON (readJSON, toJSON) instead')
}
const utils = { sheet_to_json: refuse, aoa_to_sheet: refuse, book_new: refuse, book_append_sheet: refuse }
module.exports = { read: refuse, readFile: refuse, write: refuse, writeFile: refuse, utils }
