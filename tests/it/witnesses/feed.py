"""A log of PyPI's aics-tlog, submitted to a witness by aics-witness's own client.

feed.py key                            prints the log's key
feed.py feed URL KEY STEP…             submits the log at each step and prints a line of JSON about it

A step is a size, or SIZE!, the same size of another history that parts after the first entry.
"""

import json
import sys

from aics_tlog import MerkleTree, format_vkey
from aics_tlog.checkpoint import Checkpoint, sign_checkpoint
from aics_tlog.note import vkey_from_ed25519
from aics_witness.feeder import FeederError, WitnessClient, WitnessRejected, merge_cosignatures
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

ORIGIN = "aics.example/log"
KEY = Ed25519PrivateKey.from_private_bytes(bytes([42] * 32))


def tree(size, other):
    leaves = [b"entry %d" % n for n in range(size)]
    return MerkleTree(leaves[:1] + [b"x" + leaf for leaf in leaves[1:]] if other else leaves)


def feed(url, vkey, steps):
    client = WitnessClient(url, vkey)
    for step in steps:
        log = tree(int(step.rstrip("!")), step.endswith("!"))
        note = sign_checkpoint(Checkpoint(ORIGIN, log.size, log.root()), KEY, ORIGIN).to_bytes()
        try:
            line = client.submit(note, log.consistency_proof)
            said = {"cosigned": line, "note": merge_cosignatures(note, line).decode()}
        except WitnessRejected as error:
            said = {"refused": error.status}
        except FeederError as error:
            said = {"failed": f"{type(error).__name__}: {error}"}
        print(json.dumps({"step": step, **said}))


if sys.argv[1] == "key":
    print(format_vkey(vkey_from_ed25519(ORIGIN, KEY.public_key().public_bytes_raw())))
else:
    feed(sys.argv[2], sys.argv[3], sys.argv[4:])
