"""A gRPC server that does what a test needs: `grpc_server.py [KEY CERTIFICATE]` prints its port and serves until its
standard input ends."""
import sys
import threading
from concurrent import futures

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

cancelled = threading.Event()


def unary(message, context):
    given = dict(context.invocation_metadata())
    context.send_initial_metadata([("x-first", "1")])
    context.set_trailing_metadata([("x-last", "2"), ("x-authorization", given.get("authorization", "none"))])
    # neither the secret of the session nor a credential of the client's
    assert "hoop-session" not in given, given
    return message + b" " + given.get("x-mine", "").encode()


def count(message, context):
    for number in range(int(message)):
        yield str(number).encode()


def total(messages, context):
    return str(sum(len(message) for message in messages)).encode()


def chat(messages, context):
    for message in messages:
        yield b"you said " + message


def leak(message, context):
    given = dict(context.invocation_metadata()).get("authorization", "none").encode()
    yield b"here it comes"
    yield b"it is " + given
    yield b"and more"


def fail(message, context):
    context.set_trailing_metadata([("x-detail", "more")])
    context.abort(grpc.StatusCode.NOT_FOUND, "no such tr\u00e4ce: 100 %")


def wait(message, context):
    cancelled.clear()
    over = threading.Event()
    context.add_callback(lambda: (over.set(), cancelled.set()))
    yield b"begun"
    over.wait(60)


def was_cancelled(message, context):
    return b"yes" if cancelled.wait(20) else b"no"


def large(message, context):
    return b"x" * int(message)


HANDLERS = {
    "Unary": grpc.unary_unary_rpc_method_handler(unary),
    "Count": grpc.unary_stream_rpc_method_handler(count),
    "Total": grpc.stream_unary_rpc_method_handler(total),
    "Chat": grpc.stream_stream_rpc_method_handler(chat),
    "Leak": grpc.unary_stream_rpc_method_handler(leak),
    "Fail": grpc.unary_unary_rpc_method_handler(fail),
    "Wait": grpc.unary_stream_rpc_method_handler(wait),
    "WasCancelled": grpc.unary_unary_rpc_method_handler(was_cancelled),
    "Large": grpc.unary_unary_rpc_method_handler(large),
}

server = grpc.server(futures.ThreadPoolExecutor(max_workers=40))
server.add_generic_rpc_handlers([
    grpc.method_handlers_generic_handler("demo.Echo", HANDLERS),
    grpc.method_handlers_generic_handler("demo.Admin", {"Wipe": HANDLERS["Unary"]}),
])
status = health.HealthServicer()
status.set("demo.Echo", health_pb2.HealthCheckResponse.SERVING)
health_pb2_grpc.add_HealthServicer_to_server(status, server)
if len(sys.argv) > 1:
    key, certificate = (open(name, "rb").read() for name in sys.argv[1:3])
    port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([(key, certificate)]))
else:
    port = server.add_insecure_port("127.0.0.1:0")
server.start()
print(port, flush=True)
sys.stdin.read()
server.stop(0)
