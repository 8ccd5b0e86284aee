"""A system bus with logind on it, as far as taking an inhibitor lock goes (the D-Bus specification's wire format)."""

import array
import os
import pathlib
import socket
import struct
import tempfile
import threading

METHOD_CALL, METHOD_RETURN = 1, 2
MEMBER, REPLY_SERIAL, SENDER, SIGNATURE, UNIX_FDS = 3, 5, 7, 8, 9


def padded(data, to):
    return data + bytes(-len(data) % to)


def string(text):
    return struct.pack("<I", len(text)) + text.encode() + b"\0"


def field(code, signature, value):
    return struct.pack("<BB", code, len(signature)) + signature.encode() + b"\0" + value


def reply(to, signature, body, descriptors=0):
    """A method return; body in little endian."""
    fields = b""
    for item in [field(REPLY_SERIAL, "u", struct.pack("<I", to)),
                 field(SENDER, "s", string("org.freedesktop.DBus")),
                 field(SIGNATURE, "g", bytes([len(signature)]) + signature.encode() + b"\0"),
                 *([field(UNIX_FDS, "u", struct.pack("<I", descriptors))] if descriptors else [])]:
        fields = padded(fields, 8) + item
    head = struct.pack("<cBBBIII", b"l", METHOD_RETURN, 1, 1, len(body), 1000 + to, len(fields))
    return padded(head + fields, 8) + body


def parse(data):
    """(serial, member, strings of the body, the rest) of the first message; None where it is not whole."""
    if len(data) < 16:
        return None
    _, _, _, _, body, serial, fields = struct.unpack_from("<cBBBIII", data)
    start = 16 + fields + (-fields) % 8
    if len(data) < start + body:
        return None
    member, at = "", 16
    while at < 16 + fields:
        at += -at % 8
        code, size = data[at], data[at + 1]
        kind = data[at + 2:at + 2 + size]
        at += 3 + size
        if kind == b"g":
            at += data[at] + 2
            continue
        at += -at % 4
        (value,) = struct.unpack_from("<I", data, at)
        if kind != b"u":
            if code == MEMBER:
                member = data[at + 4:at + 4 + value].decode()
            at += value + 1
        at += 4
    strings, at = [], start
    while at + 4 <= start + body:
        (size,) = struct.unpack_from("<I", data, at)
        strings.append(data[at + 4:at + 4 + size].decode())
        at += 4 + size + 1
        at += -at % 4
    return serial, member, strings, data[start + body:]


class FakeLogind:
    """with FakeLogind() as logind: programs given logind.environment find it; logind.asked is what they asked for."""

    def __init__(self, answers=True):
        self.answers, self.asked, self.lock = answers, [], None

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory()
        path = pathlib.Path(self.folder.name) / "bus"
        self.server = socket.socket(socket.AF_UNIX)
        self.server.bind(str(path))
        self.server.listen()
        self.environment = {"DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={path}"}
        threading.Thread(target=self.serve, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.close()
        self.folder.cleanup()

    def serve(self):
        while True:
            try:
                client, _ = self.server.accept()
            except OSError:
                return
            with client:
                self.talk(client)

    def talk(self, client):
        data = b""
        while b"BEGIN\r\n" not in data:
            got = client.recv(4096)
            if not got:
                return
            data += got
            if data.endswith(b"NEGOTIATE_UNIX_FD\r\n") or b"BEGIN" in data:
                client.sendall(b"DATA\r\nOK 0123456789abcdef0123456789abcdef\r\nAGREE_UNIX_FD\r\n")
        data = data.split(b"BEGIN\r\n", 1)[1]
        while True:
            while (message := parse(data)) is None:
                got = client.recv(4096)
                if not got:
                    return
                data += got
            serial, member, strings, data = message
            if member == "Hello":
                client.sendall(reply(serial, "s", string(":1.1")))
            elif member == "Inhibit":
                self.asked.append(strings)
                if self.answers:
                    self.give_lock(client, serial)

    def give_lock(self, client, serial):
        """The program holds the lock as long as it keeps the pipe's writing end open."""
        self.lock, theirs = os.pipe()
        client.sendmsg([reply(serial, "h", struct.pack("<I", 0), 1)],
                       [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [theirs]))])
        os.close(theirs)

    def was_released(self):
        released = os.read(self.lock, 1) == b""
        os.close(self.lock)
        return released
