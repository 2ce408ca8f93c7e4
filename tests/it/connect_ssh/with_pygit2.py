"""libgit2 with libssh2: knows a host and a port, and reads known hosts in its home."""

import os
import shutil

import pygit2

os.makedirs(".ssh", mode=0o700)
shutil.copy(os.environ["HOOP_SSH_KNOWN_HOSTS"], ".ssh/known_hosts")
pygit2.settings.homedir = os.getcwd()
USER, KEY = os.environ["HOOP_SSH_USER"], os.environ["HOOP_SSH_KEY"]
BASE = f"ssh://{USER}@{os.environ['HOOP_SSH_HOST']}:{os.environ['HOOP_SSH_PORT']}{os.getcwd()}"
assert pygit2.features & pygit2.enums.Feature.SSH


class Session(pygit2.RemoteCallbacks):
    def credentials(self, url, user, kinds):
        return pygit2.Keypair(user, None, KEY, "")

    def certificate_check(self, certificate, valid, host):
        return valid

    def push_update_reference(self, name, message):
        assert message is None, message


pygit2.init_repository("origin.git", bare=True, initial_head="main")
work = pygit2.init_repository("work", initial_head="main")
noise = os.urandom(2_000_000)
with open("work/noise", "wb") as file:
    file.write(noise)
work.index.add_all()
work.index.write()
alice = pygit2.Signature("alice", "alice@example.com")
work.create_commit("HEAD", alice, alice, "first", work.index.write_tree(), [])
origin = work.remotes.create("origin", f"{BASE}/origin.git")
origin.push(["refs/heads/main"], callbacks=Session())

pygit2.clone_repository(f"{BASE}/origin.git", "clone", callbacks=Session())
with open("clone/noise", "rb") as file:
    assert file.read() == noise
assert [head.name for head in origin.list_heads(callbacks=Session())] == ["HEAD", "refs/heads/main"]

# a host that shows another key is not spoken to
with open(".ssh/known_hosts", "w") as file:
    name = f"[{os.environ['HOOP_SSH_HOST']}]:{os.environ['HOOP_SSH_PORT']}"
    file.write(f"{name} ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f\n")
try:
    pygit2.clone_repository(f"{BASE}/origin.git", "stranger", callbacks=Session())
    raise SystemExit("it speaks to anybody")
except pygit2.GitError as error:
    assert "hostkey" in str(error), error
print("all")
