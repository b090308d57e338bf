"""The guard's end of the socket to the agent: one agent at a time, whose user the kernel vouches for.

It listens where the agent can reach it, in a directory that the two share, and never waits: what the agent does not
take now is taken at one of the next turns, and how things stand is not said again while older words wait.
"""

from __future__ import annotations

import os
import socket
import stat
import struct
from collections.abc import Callable
from typing import Final

from memguard.core.link import PROTOCOL, Hello, Receipt, Status, ToGuard, encode, guards_inbox
from memguard.errors import LinkError, UnfitError
from memguard.guard.ears import MESSAGE, Ears
from memguard.guard.outbox import Outbox
from memguard.kernel.files import OUT_OF_DESCRIPTORS

#: What is read in one turn: a flood of messages takes no more of the guard's time than this.
_READ_BYTES: Final = 64 << 10
#: With so much that the agent has not taken, news wait in the outbox, which is bounded: this memory is locked.
_UNSENT_BYTES: Final = 64 << 10
#: pid, uid, gid (unix(7), SO_PEERCRED)
_CREDENTIALS: Final = struct.Struct("3i")


class Liaison:
    """Listens at `path`; only processes of the user `peer_uid` are heard, by `heard`. Raises UnfitError.

    `trouble` is told of whoever was sent away, and why.
    """

    def __init__(
        self,
        path: str,
        peer_uid: int,
        outbox: Outbox,
        *,
        version: str,
        ears: Ears,
        heard: Callable[[ToGuard], None],
        trouble: Callable[[str], None],
    ) -> None:
        self._peer_uid, self._outbox, self._version = peer_uid, outbox, version
        self._ears, self._heard, self._trouble = ears, heard, trouble
        self._listener = _listen(path)
        self._spare = os.dup(self._listener.fileno())
        self._peer: socket.socket | None = None
        self._inbox = guards_inbox()
        self._greeted = False
        self._unsent = bytearray()
        self._sent_news = 0
        ears.listen(self._listener.fileno(), lambda _: self._welcome(), MESSAGE)

    @property
    def connected(self) -> bool:
        """Has an agent of our kind said hello?"""
        return self._peer is not None and self._greeted

    @property
    def clear(self) -> bool:
        """Has it taken everything so far?"""
        return self.connected and not self._unsent

    def tell(self, status: Status) -> None:
        """How things stand; not said while older words wait."""
        if self.clear:
            self._unsent += encode(status)
            self.flush()

    def flush(self) -> None:
        """Send the news that were not sent to this agent, and as much as it takes now."""
        if not self.connected:
            return
        for number, message in self._outbox.waiting.items():
            if number > self._sent_news and len(self._unsent) < _UNSENT_BYTES:
                self._unsent += message
                self._sent_news = number
        self._send()

    def close(self) -> None:
        """Hang up."""
        self._hang_up()
        self._ears.deafen(self._listener.fileno())
        self._listener.close()
        os.close(self._spare)

    def _accept(self) -> socket.socket | None:
        try:
            return self._listener.accept()[0]
        except OSError as error:
            if error.errno in OUT_OF_DESCRIPTORS:
                self._turn_away()
        return None  # or it went away again

    def _turn_away(self) -> None:
        """Without a descriptor for it. Who is left waiting at the door rings in every turn, without end."""
        self._trouble("an agent was turned away: too many open files. Raise RLIMIT_NOFILE of the guard (LimitNOFILE=).")
        os.close(self._spare)
        try:
            self._listener.accept()[0].close()
        except OSError:
            return  # it went away again
        finally:
            self._spare = os.dup(self._listener.fileno())

    def _welcome(self) -> None:
        peer = self._accept()
        if peer is None:
            return
        uid = _uid(peer)
        if uid != self._peer_uid:
            self._trouble(f"a process of user {uid} came to the agent's socket and was sent away")
            peer.close()
            return
        self._hang_up()  # the agent began anew; what it had before is dead
        peer.setblocking(False)  # noqa: FBT003
        self._peer, self._inbox, self._sent_news = peer, guards_inbox(), 0
        self._ears.listen(peer.fileno(), lambda _: self._hear(), MESSAGE)
        self._unsent += encode(Hello(protocol=PROTOCOL, version=self._version, session=self._outbox.session))
        self._send()

    def _hear(self) -> None:
        if self._peer is None:
            return
        try:
            piece = self._peer.recv(_READ_BYTES)
            if not piece:
                self._hang_up()
            for message in self._inbox.feed(piece):
                self._take(message)
        except BlockingIOError:
            return
        except OSError:
            self._hang_up()
        except LinkError as error:
            self._trouble(f"the agent was sent away: {error}")
            self._hang_up()

    def _take(self, message: ToGuard) -> None:
        if isinstance(message, Hello):
            if message.protocol != PROTOCOL:
                raise LinkError(f"it speaks protocol {message.protocol}, this guard {PROTOCOL}")
            self._greeted = True
            self.flush()
        elif not self._greeted:
            raise LinkError("it did not say hello first")
        elif isinstance(message, Receipt):
            self._outbox.received(message.number)
        else:
            self._heard(message)

    def _send(self) -> None:
        if self._peer is None or not self._unsent:
            return
        try:
            sent = self._peer.send(self._unsent)
        except BlockingIOError:
            return
        except OSError:
            self._hang_up()
            return
        del self._unsent[:sent]

    def _hang_up(self) -> None:
        if self._peer is not None:
            self._ears.deafen(self._peer.fileno())
            self._peer.close()
        self._peer, self._greeted = None, False
        self._unsent.clear()


def _listen(path: str) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    # Who comes is asked for its credentials: to give the socket to the agent's user would need CAP_CHOWN.
    before = os.umask(0o111)
    try:
        _keep_others_out(os.path.dirname(path) or ".")
        if os.path.lexists(path) and not stat.S_ISREG(os.lstat(path).st_mode):
            os.unlink(path)  # the last guard's
        listener.bind(path)
        listener.listen(4)
    except OSError as error:
        listener.close()
        message = f"{path}: {error.strerror}. Name a path in a directory that the guard and the agent share."
        raise UnfitError(message) from None
    finally:
        os.umask(before)
    return listener


def _keep_others_out(directory: str) -> None:
    """Kubelet makes volumes that everybody may write: nobody else shall put something in the socket's place."""
    found = os.stat(directory)
    if found.st_uid == os.geteuid() and found.st_mode & stat.S_IWOTH and not found.st_mode & stat.S_ISVTX:
        os.chmod(directory, 0o755)  # noqa: S103 - the agent must get in


def _uid(peer: socket.socket) -> int:
    return int(_CREDENTIALS.unpack(peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))[1])
