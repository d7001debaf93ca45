# SPDX-License-Identifier: Apache-2.0
"""A door between a client and its server: so many bytes of the server's pass, then it holds them until
more are let through. What is killed meanwhile is killed in the middle, however quick both are."""
import select
import socket
import threading


class Gate:
    def __init__(self, port):
        self.port_behind = port
        self.most, self.passed, self.waiting = 0, 0, 0
        self.changed = threading.Condition()
        self.open = True
        self.pairs, self.threads = set(), []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.begin(self.accept)

    def begin(self, act, *words):
        thread = threading.Thread(target=act, args=words)
        self.threads.append(thread)
        thread.start()

    def let(self, count):
        """So many bytes more; None: all."""
        with self.changed:
            self.most = None if count is None else self.passed + count
            self.changed.notify_all()

    def holds(self):
        with self.changed:
            return self.waiting > 0

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("localhost", self.port_behind), 10)
            except OSError:  # it is not there, and so are we not
                client.close()
                continue
            server.settimeout(None)
            self.pairs.add((client, server))
            self.begin(self.relay, client, server)

    def relay(self, client, server):
        try:
            while True:
                for one in select.select([client, server], [], [])[0]:
                    data = one.recv(16384)
                    if not data:
                        return
                    if one is server:
                        self.wait(client, len(data))
                    (client if one is server else server).sendall(data)
        except OSError:
            pass
        finally:
            self.pairs.discard((client, server))
            client.close()
            server.close()

    def wait(self, client, count):
        """Until they may pass; whoever has gone meanwhile is no longer waited for."""
        with self.changed:
            self.waiting += 1
            try:
                while self.open and self.most is not None and self.passed >= self.most:
                    if select.select([client], [], [], 0)[0] and not client.recv(1, socket.MSG_PEEK):
                        raise OSError("gone")
                    self.changed.wait(0.05)
            finally:
                self.waiting -= 1
            self.passed += count

    def close(self):
        with self.changed:
            self.open = False
            self.changed.notify_all()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for pair in list(self.pairs):
            for one in pair:
                try:
                    one.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
        for thread in self.threads:
            thread.join()
