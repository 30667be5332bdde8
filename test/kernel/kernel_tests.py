"""The public tests of kernels (jupyter_kernel_test) for this one. Run with the kernel's name as the first argument."""
import sys
import unittest

import jupyter_kernel_test as public

NAME = sys.argv.pop(1)


class Tests(public.KernelTests):
    kernel_name = NAME
    language_name = "typescript"
    file_extension = ".ts"
    code_hello_world = "console.log('hello, world')"
    code_stderr = "console.error('oh no')"
    completion_samples = [{"text": "process.platf", "matches": ["platform"]}, {"text": "Math.flo", "matches": ["floor"]}]
    complete_code_samples = ["1", "console.log('x')", "function f(n: number) {\n  return n\n}\n"]
    incomplete_code_samples = ["function f() {", "const a = [1,", "`open"]
    invalid_code_samples = ["const = 1", "a b c", "let 5x = 1"]
    code_page_something = "process.platform?"
    code_generate_error = "throw new Error('no')"
    code_execute_result = [{"code": "6 * 7", "result": "42"}, {"code": "'a' + 1", "result": "'a1'"}, {"code": "[1, 2]", "result": "[ 1, 2 ]"}]
    code_display_data = [
        {"code": "globalThis[Symbol.for('Jupyter.host')].display({ 'text/html': '<b>x</b>' }); undefined", "mime": "text/html"},
    ]
    code_history_pattern = "6?*7"
    supported_history_operations = ("tail", "range", "search")
    code_inspect_sample = "Math.floor"
    code_clear_output = "console.clear()"


class Welcome(public.IopubWelcomeTests):
    kernel_name = NAME
    support_iopub_welcome = True


if __name__ == "__main__":
    unittest.main(verbosity=2)
