"""What programs do with gRPC: `grpc_client.py ADDRESS plain|secure all|masked`. The session's secret is in HOOP_SECRET
where nothing on the way puts it in."""
import os
import sys

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

address, channel, mode = sys.argv[1:4]
secret = os.environ.get("HOOP_SECRET")
metadata = [("hoop-session", secret)] if secret else []
if channel == "secure":
    channel = grpc.secure_channel(address, grpc.ssl_channel_credentials())
else:
    channel = grpc.insecure_channel(address)


def method(kind, name, service="demo.Echo"):
    call = getattr(channel, kind)(f"/{service}/{name}")
    return lambda what, more=(), **others: call(what, metadata=[*metadata, *more], timeout=others.pop("timeout", 30), **others)


def fails(code, call):
    try:
        call()
    except grpc.RpcError as error:
        assert error.code() == code, error
        return error
    raise AssertionError(f"it did not fail with {code}")


unary = method("unary_unary", "Unary")

if mode == "masked":
    error = fails(grpc.StatusCode.FAILED_PRECONDITION, lambda: unary(b"hello"))
    assert "masked" in error.details(), error.details()
    fails(grpc.StatusCode.FAILED_PRECONDITION, lambda: list(method("stream_stream", "Chat")(iter([b"a"]))))
    print("all refused")
    sys.exit()

answer, call = method("unary_unary", "Unary"), None
answer, call = channel.unary_unary("/demo.Echo/Unary").with_call(
    b"hello", metadata=[*metadata, ("x-mine", "yes"), ("authorization", "Bearer mine")], timeout=30)
assert answer == b"hello yes", answer
assert ("x-first", "1") in call.initial_metadata(), call.initial_metadata()
last = dict(call.trailing_metadata())
assert last["x-last"] == "2", last
assert "mine" not in last["x-authorization"] and "0123456789" not in last["x-authorization"], last
print("unary", last["x-authorization"])

assert [int(number) for number in method("unary_stream", "Count")(b"2000")] == list(range(2000))
print("server streaming")

assert method("stream_unary", "Total")(b"x" * 1000 for _ in range(2000)) == b"2000000"
print("client streaming")


# each message is sent when the answer to the one before is there
class Turns:
    def __init__(self):
        import queue
        self.queue = queue.Queue()

    def __iter__(self):
        while (message := self.queue.get()) is not None:
            yield message


turns = Turns()
chat = method("stream_stream", "Chat")(iter(turns))
for number in range(50):
    turns.queue.put(str(number).encode())
    assert next(chat) == b"you said " + str(number).encode()
turns.queue.put(None)
assert list(chat) == []
print("both streaming")

error = fails(grpc.StatusCode.NOT_FOUND, lambda: method("unary_unary", "Fail")(b""))
assert error.details() == "no such tr\u00e4ce: 100 %", error.details()
assert ("x-detail", "more") in error.trailing_metadata(), error.trailing_metadata()
print("errors with trailers")

# what was put into the call on the way does not come back in a message either
told, leaking = [], method("unary_stream", "Leak")(b"")
try:
    told.extend(leaking)
    raise AssertionError(f"nothing was cut: {told}")
except grpc.RpcError as error:
    assert b"0123456789" not in b"".join(told), told
    print("no secrets,", error.code().name)

waiting = method("unary_stream", "Wait")(b"")
assert next(waiting) == b"begun"
waiting.cancel()
assert method("unary_unary", "WasCancelled")(b"") == b"yes"
print("cancelling")

waiting = method("unary_stream", "Wait")
fails(grpc.StatusCode.DEADLINE_EXCEEDED, lambda: list(waiting(b"", timeout=0.5)))
print("deadlines")

assert len(method("unary_unary", "Large")(b"3000000")) == 3000000
fails(grpc.StatusCode.RESOURCE_EXHAUSTED, lambda: method("unary_unary", "Large")(b"5000000"))
print("large messages")

many = [channel.unary_unary("/demo.Echo/Unary").future(str(n).encode(), metadata=metadata, timeout=60) for n in range(150)]
assert [one.result() for one in many] == [f"{n} ".encode() for n in range(150)]
print("many at a time")

stub = health_pb2_grpc.HealthStub(channel)
checked = stub.Check(health_pb2.HealthCheckRequest(service="demo.Echo"), metadata=metadata, timeout=30)
assert checked.status == health_pb2.HealthCheckResponse.SERVING
print("health")

error = fails(grpc.StatusCode.PERMISSION_DENIED, lambda: method("unary_unary", "Wipe", "demo.Admin")(b""))
assert "no-admin" in error.details() and "not for you: 100 %" in error.details(), error.details()
error = fails(grpc.StatusCode.PERMISSION_DENIED,
              lambda: list(method("stream_stream", "Wipe", "demo.Admin")(iter([b"a", b"b"]))))
print("denials")

if secret:
    metadata = []
    fails(grpc.StatusCode.UNAUTHENTICATED, lambda: unary(b"hello"))
    print("without the secret")
print("done")
