"""Blobs: what is written comes back, and nothing else does."""

import hashlib
import io
import os
import shutil
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.blob_format import CHUNK_BYTES
from core.crypto import KeyRejected, TenantKey
from core.storage import BlobCorrupt, BlobNotFound, BlobStore, blob_store, tenant_key

NAME = "datasets/0001/rows.jsonl"
FRAME_BYTES = CHUNK_BYTES + 16
HEADER_BYTES = 40
# Content whose chunks all differ, so that exchanging two of them shows.
THREE_CHUNKS = os.urandom(3 * CHUNK_BYTES)


@pytest.fixture
def store(tmp_path: Path) -> BlobStore:
    return BlobStore(f"file://{tmp_path}/blobs")


@pytest.fixture
def tenant() -> TenantKey:
    return TenantKey(uuid4(), os.urandom(32))


def path_of(tmp_path: Path, tenant: TenantKey, name: str = NAME) -> Path:
    return tmp_path / "blobs" / str(tenant.tenant_id) / name


def files_below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


near_a_chunks_edge = st.builds(
    lambda chunks, off: max(0, chunks * CHUNK_BYTES + off), st.integers(0, 2), st.integers(-17, 17)
)


@settings(max_examples=30, deadline=None)
@given(size=near_a_chunks_edge, pieces=st.lists(st.integers(0, CHUNK_BYTES + 5), max_size=4))
def test_any_size_written_in_any_pieces_comes_back(tmp_path_factory, size, pieces):
    store = BlobStore(f"file://{tmp_path_factory.getbasetemp()}/sizes")
    tenant = TenantKey(uuid4(), os.urandom(32))
    data = os.urandom(size)
    source = io.BytesIO(data)

    with store.open_writer(tenant, NAME) as writer:
        for piece in pieces:
            writer.write(source.read(piece))
        writer.write(source.read())
        blob = writer.commit()

    assert (blob.name, blob.size, blob.digest) == (NAME, size, hashlib.sha256(data).hexdigest())
    assert store.get(tenant, NAME, digest=blob.digest) == data


@settings(max_examples=30, deadline=None)
@given(positions=st.lists(near_a_chunks_edge, min_size=1, max_size=6), length=st.integers(0, 40))
def test_any_part_can_be_read_in_any_order(tmp_path_factory, positions, length):
    store = BlobStore(f"file://{tmp_path_factory.getbasetemp()}/parts")
    tenant = TenantKey(uuid4(), b"k" * 32)
    data = THREE_CHUNKS[: 2 * CHUNK_BYTES + 9]
    store.put(tenant, NAME, data)

    with store.open(tenant, NAME) as file:
        for position in positions:
            assert file.seek(position) == position
            assert file.read(length) == data[position : position + length]
        assert file.seek(-5, io.SEEK_END) == len(data) - 5
        assert file.read() == data[-5:]


def test_a_blob_reads_as_lines(store, tenant):
    store.put(tenant, NAME, "eins\nzwei\ndréi\n".encode())

    with store.open(tenant, NAME) as file, io.TextIOWrapper(file, encoding="utf-8") as lines:
        assert [line.strip() for line in lines] == ["eins", "zwei", "dréi"]


def test_nothing_of_the_content_or_of_its_digest_is_on_disk(store, tenant, tmp_path):
    blob = store.put(tenant, NAME, b"Krisztina lives here. " * 1000)

    on_disk = path_of(tmp_path, tenant).read_bytes()

    assert b"Krisztina" not in on_disk
    assert bytes.fromhex(blob.digest) not in on_disk


def test_the_same_content_is_never_encrypted_the_same_way_twice(store, tenant, tmp_path):
    store.put(tenant, "a", b"content" * 100)
    store.put(tenant, "b", b"content" * 100)
    first = path_of(tmp_path, tenant, "a").read_bytes()
    second = path_of(tmp_path, tenant, "b").read_bytes()

    assert len(first) == len(second)
    assert first[HEADER_BYTES : HEADER_BYTES + 16] != second[HEADER_BYTES : HEADER_BYTES + 16]


def test_a_blob_that_there_is_not_is_named(store, tenant):
    with pytest.raises(BlobNotFound, match=NAME):
        store.open(tenant, NAME)


def test_a_deleted_blob_is_gone_and_deleting_twice_is_fine(store, tenant):
    store.put(tenant, NAME, b"x")

    store.delete(tenant, NAME)
    store.delete(tenant, NAME)

    with pytest.raises(BlobNotFound):
        store.get(tenant, NAME)


def test_a_blob_of_other_content_than_expected_is_refused_before_the_first_byte(store, tenant):
    store.put(tenant, NAME, b"yesterday")

    with pytest.raises(BlobCorrupt):
        store.open(tenant, NAME, digest=hashlib.sha256(b"today").hexdigest())


@pytest.mark.parametrize(
    "position", [0, 8, 39, HEADER_BYTES, FRAME_BYTES, 2 * FRAME_BYTES + 99, -57, -56, -1]
)
def test_a_changed_byte_is_found(store, tenant, tmp_path, position):
    store.put(tenant, NAME, THREE_CHUNKS)
    path = path_of(tmp_path, tenant)
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)

    with pytest.raises(BlobCorrupt):
        store.get(tenant, NAME)


def test_chunks_before_a_damaged_one_can_be_read_and_nothing_of_that_one(store, tenant, tmp_path):
    store.put(tenant, NAME, THREE_CHUNKS)
    path = path_of(tmp_path, tenant)
    content = bytearray(path.read_bytes())
    content[HEADER_BYTES + 2 * FRAME_BYTES - 1] ^= 1
    path.write_bytes(content)

    with store.open(tenant, NAME) as file:
        assert file.read(CHUNK_BYTES) == THREE_CHUNKS[:CHUNK_BYTES]
        with pytest.raises(BlobCorrupt):
            file.read(1)


@pytest.mark.parametrize(
    "size",
    [0, 1, 39, HEADER_BYTES, HEADER_BYTES + 56, HEADER_BYTES + FRAME_BYTES, HEADER_BYTES + 2 * FRAME_BYTES],
)
def test_a_blob_cut_short_is_refused(store, tenant, tmp_path, size):
    store.put(tenant, NAME, THREE_CHUNKS)
    path = path_of(tmp_path, tenant)
    path.write_bytes(path.read_bytes()[:size])

    with pytest.raises(BlobCorrupt):
        store.open(tenant, NAME)


def rearranged(content: bytes, *order: int) -> bytes:
    """The header, the chunks in another order, and the footer."""
    frames = [content[HEADER_BYTES + i * FRAME_BYTES :][:FRAME_BYTES] for i in range(3)]
    return content[:HEADER_BYTES] + b"".join(frames[i] for i in order) + content[-56:]


@pytest.mark.parametrize("order", [(1, 0, 2), (0, 1), (1, 2), (0, 0, 1, 2), (0, 1, 1), ()])
def test_chunks_exchanged_dropped_or_repeated_are_found(store, tenant, tmp_path, order):
    store.put(tenant, NAME, THREE_CHUNKS)
    path = path_of(tmp_path, tenant)
    path.write_bytes(rearranged(path.read_bytes(), *order))

    with pytest.raises(BlobCorrupt):
        store.get(tenant, NAME)


def test_a_chunk_of_another_writing_of_the_same_blob_is_found(store, tenant, tmp_path):
    path = path_of(tmp_path, tenant)
    store.put(tenant, NAME, THREE_CHUNKS)
    earlier = path.read_bytes()
    store.put(tenant, NAME, THREE_CHUNKS)
    content = bytearray(path.read_bytes())
    content[HEADER_BYTES : HEADER_BYTES + FRAME_BYTES] = earlier[HEADER_BYTES : HEADER_BYTES + FRAME_BYTES]
    path.write_bytes(content)

    with pytest.raises(BlobCorrupt):
        store.get(tenant, NAME)


def test_a_renamed_blob_is_refused(store, tenant, tmp_path):
    store.put(tenant, "adapters/one", b"weights")
    shutil.copy(path_of(tmp_path, tenant, "adapters/one"), path_of(tmp_path, tenant, "adapters/two"))

    with pytest.raises(BlobCorrupt):
        store.open(tenant, "adapters/two")


@pytest.mark.parametrize("same_key", [True, False])
def test_a_blob_moved_to_another_tenant_is_refused(store, tenant, tmp_path, same_key):
    other = TenantKey(uuid4(), tenant.data_key if same_key else os.urandom(32))
    store.put(tenant, NAME, b"of one tenant")
    target = path_of(tmp_path, other)
    target.parent.mkdir(parents=True)
    shutil.copy(path_of(tmp_path, tenant), target)

    with pytest.raises(BlobCorrupt):
        store.open(other, NAME)


def test_nothing_is_seen_of_a_blob_before_it_is_committed(store, tenant, tmp_path):
    writer = store.open_writer(tenant, NAME)
    writer.write(THREE_CHUNKS)

    with pytest.raises(BlobNotFound):
        store.open(tenant, NAME)

    writer.abort()
    assert files_below(tmp_path) == []


def test_a_writer_left_by_an_error_leaves_nothing_and_the_old_blob_stays(store, tenant, tmp_path):
    store.put(tenant, NAME, b"old")

    with pytest.raises(TypeError), store.open_writer(tenant, NAME) as writer:
        writer.write("no bytes")

    assert store.get(tenant, NAME) == b"old"
    assert files_below(tmp_path) == [path_of(tmp_path, tenant)]


def test_a_writer_takes_nothing_after_its_commit(store, tenant):
    writer = store.open_writer(tenant, NAME)
    writer.write(b"all")
    writer.commit()

    with pytest.raises(ValueError, match="closed"):
        writer.write(b"more")
    with pytest.raises(ValueError, match="closed"):
        writer.commit()
    writer.close()
    assert store.get(tenant, NAME) == b"all"


@pytest.mark.parametrize(
    "name", ["", "../other/x", "/etc/passwd", "a//b", "a/../b", ".hidden", "a/.", "a b", "ä"]
)
def test_a_name_that_could_lead_elsewhere_is_refused(store, tenant, name):
    with pytest.raises(ValueError, match="no blob name"):
        store.open_writer(tenant, name)


def test_blobs_are_for_their_owner_alone_on_disk(store, tenant, tmp_path):
    store.put(tenant, NAME, b"x")

    assert path_of(tmp_path, tenant).stat().st_mode & 0o077 == 0


def test_another_file_system_serves_too(tenant):
    store = BlobStore(f"memory://blobs-{uuid4()}")
    blob = store.put(tenant, NAME, THREE_CHUNKS)
    dropped = store.open_writer(tenant, "dropped")
    dropped.write(THREE_CHUNKS)
    dropped.abort()

    assert store.get(tenant, NAME, digest=blob.digest) == THREE_CHUNKS
    with pytest.raises(BlobNotFound):
        store.open(tenant, "dropped")


def test_the_settings_store_and_a_tenants_key_from_the_database_go_together(make_tenant):
    from core.db import tenant_session
    from core.tenancy import system_scope

    tenant, other = make_tenant(), make_tenant()
    with tenant_session(system_scope(tenant.id, "test")) as session:
        key = tenant_key(session, tenant.id)
        blob = blob_store().put(key, NAME, b"rows")
        assert blob_store().get(key, NAME, blob.digest) == b"rows"
        blob_store().delete(key, NAME)
        with pytest.raises(KeyRejected):
            tenant_key(session, other.id)
