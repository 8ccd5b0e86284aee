"""Runs a program on a pseudo-terminal, as a person would see and type it."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time


class Terminal:
    """A running program; `output` is everything it has shown."""

    def __init__(self, command, env, columns=80):
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))

        def become_foreground():
            os.setsid()
            fcntl.ioctl(slave, termios.TIOCSCTTY, 0)

        self.process = subprocess.Popen(
            list(map(str, command)), stdin=slave, stdout=slave, stderr=slave, env=env, preexec_fn=become_foreground
        )
        os.close(slave)
        self.master, self.output, self.seen = master, b"", 0

    def read(self, seconds):
        """Reads what comes within that time; False at the end."""
        if not select.select([self.master], [], [], seconds)[0]:
            return True
        try:
            data = os.read(self.master, 65536)
        except OSError:
            data = b""
        self.output += data
        return bool(data)

    def wait_for(self, pattern, seconds=60):
        """The first match of a regular expression in what was shown after the match before it."""
        deadline = time.monotonic() + seconds
        while True:
            if match := re.compile(pattern).search(self.output, self.seen):
                self.seen = match.end()
                return match
            fresh = self.output[self.seen :]
            assert time.monotonic() < deadline, f"no {pattern!r} within {seconds} s: {fresh!r}"
            assert self.read(0.1), f"ended without {pattern!r}: {fresh!r}"

    def type(self, text):
        os.write(self.master, text.encode())

    def finish(self, seconds=60):
        """The exit code."""
        deadline = time.monotonic() + seconds
        while self.read(0.1):
            assert time.monotonic() < deadline, f"still running: {self.output!r}"
        os.close(self.master)
        return self.process.wait(10)


def shown_lines(output):
    """What each line held at its widest, with carriage returns and escape codes taken out."""
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", output.decode())
    return [part for line in text.split("\n") for part in line.split("\r")]
