/**
 * The Python program that `zslab run` starts: nbclient runs the cells in the notebook's folder; whatever ends it, the notebook is
 * written with what ran, and one line of stderr says why it ended. Exit status: 0, 1 (a cell failed, the kernel died), 124, 130.
 */

/** What the program is told, as JSON in its first argument. */
export interface RunnerWords {
  source: string
  target: string
  kernel: string
  /** Seconds for one cell; null: no limit. */
  timeout: number | null
  /** Source of the cell that sets parameters; null: none. */
  parameters: string | null
}

export const RUNNER = `
import os, signal, sys
signal.signal(signal.SIGINT, lambda *_: os._exit(130))  # nothing has run yet
import asyncio, json, logging
import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError
logging.disable(logging.CRITICAL)  # what is said is said below
told = json.loads(sys.argv[1])
source, target = told['source'], told['target']
os.environ['JPY_SESSION_NAME'] = source  # as Jupyter's server tells a kernel whose it is

def parametrized(notebook, text):
    cells = notebook.cells
    tagged = lambda tag: [i for i, cell in enumerate(cells) if tag in cell.metadata.get('tags', [])]
    for i in reversed(tagged('injected-parameters')):
        del cells[i]
    place = (tagged('parameters') or [-1])[0] + 1
    made = nbformat.v4.new_code_cell(text, metadata={'tags': ['injected-parameters']})
    if (notebook.nbformat, notebook.nbformat_minor) < (4, 5):
        del made['id']
    cells.insert(place, made)

class Client(NotebookClient):
    at = 0
    stopped = False
    async def async_execute_cell(self, cell, cell_index, *words, **named):
        self.at = cell_index
        try:
            return await super().async_execute_cell(cell, cell_index, *words, **named)
        except CellExecutionError:
            raise
        except BaseException:
            self.shutdown_kernel = 'immediate'  # it is in the middle of its work
            raise

async def run(client):
    loop = asyncio.get_running_loop()
    work = asyncio.ensure_future(client.async_execute())
    def stop():
        if not client.stopped:  # a terminal and zslab may both send it
            client.stopped = True
            work.cancel()
    loop.add_signal_handler(signal.SIGINT, stop)
    loop.add_signal_handler = lambda *_: None  # nbclient's own handler would end without a word
    loop.remove_signal_handler = lambda *_: None
    await work

def main():
    notebook = nbformat.read(source, as_version=4)
    if told['parameters'] is not None:
        parametrized(notebook, told['parameters'])
    folder = {'metadata': {'path': os.path.dirname(source)}}
    client = Client(notebook, timeout=told['timeout'], kernel_name=told['kernel'], resources=folder, record_timing=False)
    client.coalesce_streams = True
    where = lambda: f"cell {client.at + 1} of {len(notebook.cells)}"
    why, status = None, 0
    try:
        asyncio.run(run(client))
    except CellExecutionError as error:
        why, status = f"a cell failed: {error.ename}: {error.evalue}", 1
    except CellTimeoutError:
        why, status = f"{where()} took longer than {told['timeout']:g} s", 124
    except (Exception, asyncio.CancelledError) as error:
        why, status = f"{where()} could not be run: {' '.join(str(error).split()) or type(error).__name__}", 1
    if client.stopped:  # whatever nbclient made of it
        why, status = f"interrupted in {where()}", 130
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    nbformat.write(notebook, target)
    print(target)
    if why:
        print(why if status == 1 else f"zslab: {why}: what ran is in {target}", file=sys.stderr)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)

try:
    main()
except Exception as error:
    print(f"zslab: {source} could not be run: {' '.join(str(error).split()) or type(error).__name__}", file=sys.stderr)
    sys.exit(1)
`
