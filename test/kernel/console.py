"""`jupyter console` in a terminal: keys come in on stdin, what it draws goes to stdout. Arguments: those of the console."""
import os
import pty
import sys

HANG_S = 60


def console():
    from jupyter_client.blocking import BlockingKernelClient as Client
    from jupyter_console.app import main

    # It waits one second for its history, and then takes that late answer for every other one: busy machines need longer.
    get = Client.get_shell_msg
    Client.get_shell_msg = lambda self, timeout=None: get(self, timeout=HANG_S)
    patient = [f"--ZMQTerminalInteractiveShell.kernel_is_complete_timeout={HANG_S}", f"--ZMQCompleter.timeout={HANG_S}"]
    sys.argv = ["jupyter-console", *sys.argv[2:], *patient]
    main()


if sys.argv[1] == "inside":
    console()
else:
    sys.exit(os.waitstatus_to_exitcode(pty.spawn([sys.executable, __file__, "inside", *sys.argv[1:]])))
