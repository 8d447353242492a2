"""Parcels: whatever their number and size, each task gets its own rows in their order, and rows of one record go to one task."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import roe
from helpers import policy_text

pa = pytest.importorskip("pyarrow")
np = pytest.importorskip("numpy")

LONG_ID, SHORT_ID = "0015g00000AbCdEAAV", "0015g00000AbCdE"  # the two forms of one id
POLICY = """
roe: 1
name: t
roles: [ae]
data: {account: {missing: [none]}}
engagement: {account: {ae: [{name: calls, when: count(account.activities) > 0, then: keep}]}}
"""


@pytest.mark.parametrize("most", [None, 1, 7, 100])
@pytest.mark.parametrize("n", [0, 1, 5, 1000])
def test_each_task_gets_its_rows_in_order(n: int, most: int | None) -> None:
    from roe.share.parcels import LINE, opened, packed

    table = pa.table({"x": pa.array([f"a{i}" for i in range(n)], pa.string()), LINE: pa.array(np.arange(1, n + 1))})
    bucket = np.random.default_rng(n).integers(0, 5, n)
    got = {number: tables["t"].to_pylist() for number, tables in opened(packed("t", table, bucket, most).to_batches())}
    rows = table.to_pylist()
    assert got == {k: own for k in range(5) if (own := [row for row, b in zip(rows, bucket, strict=True) if b == k])}


def test_parcels_of_several_pieces_are_put_in_the_order_of_their_lines() -> None:
    from roe.share.parcels import LINE, opened, packed

    pieces = [packed("t", pa.table({LINE: pa.array(lines)}), np.zeros(3, int), 2) for lines in ([4, 5, 6], [1, 2, 3])]
    ((number, tables),) = opened(pa.concat_tables(pieces).to_batches())
    assert (number, tables["t"][LINE].to_pylist()) == (0, [1, 2, 3, 4, 5, 6])


def test_a_dictionary_does_not_go_with_every_parcel() -> None:
    from roe.share.parcels import opened, packed

    texts = pa.array([f"city {i:04}" for i in range(1000)])
    bucket = np.arange(1000) % 50
    as_texts, as_codes = (packed("t", pa.table({"city": x}), bucket) for x in (texts, texts.dictionary_encode()))
    assert as_codes == as_texts
    assert sorted(x for _, tables in opened(as_codes.to_batches()) for x in tables["t"]["city"].to_pylist()) == texts.to_pylist()


def key(tmp_path: Path, entity: str, field: str, columns: list[str]) -> Any:
    from roe.share.parcels import key_of

    return key_of(roe.load(policy_text(tmp_path, POLICY)), entity, field, columns)


def test_both_forms_of_an_id_and_spaces_are_one_record(tmp_path: Path) -> None:
    from roe.share.parcels import Hashed, Ranged

    texts = pa.array([LONG_ID, SHORT_ID, f" {SHORT_ID} ", "None", "", None, "B", LONG_ID[:-1] + "W"])
    for kind in (pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())):
        table = pa.table({"id": texts.dictionary_encode() if pa.types.is_dictionary(kind) else texts.cast(kind)})
        keys = key(tmp_path, "account", "id", ["id"]).of(table)
        assert keys.to_pylist() == [SHORT_ID] * 3 + [None] * 3 + ["B", LONG_ID[:-1] + "W"]  # the last has a wrong checksum
        for buckets in (Hashed(1000), Ranged.of_sample([b"0", SHORT_ID.encode(), b"A"], 3)):
            assert len(set(buckets.of(keys)[:3])) == len(set(buckets.of(keys)[3:6])) == 1


ODD = ["A1", "A1\t", "\u00a0A1", "A1\u200b", "e\u0301", "\u00e9", "#REF!", "#N/A", "none", " ", None]
IDS = {
    "texts": ODD,
    "many texts": [*ODD, *(f"A{i}" for i in range(3000)), "A7 "],
    "numbers": [12, None, 7_000_000_000],
    "mixed": ["A", "1", 1, None, 1.5, True],
}


@pytest.mark.parametrize("ids", IDS.values(), ids=[*IDS])
def test_a_row_goes_to_the_record_that_the_evaluator_takes_it_for(ids: list[Any], tmp_path: Path) -> None:
    from roe.columns.load import typed_columns
    from roe.columns.raw import Raw
    from roe.data.scan import TableOrigin
    from roe.share.parcels import key_of, raw_of, table_of

    policy = roe.load(policy_text(tmp_path, POLICY))
    raw = Raw.of_rows([{"id": x} for x in ids])
    table = table_of(raw)
    assert list(raw_of(table, TableOrigin("")).columns["id"]) == list(raw.columns["id"])
    keys = key_of(policy, "account", "id", raw.columns).of(table)
    typed = typed_columns(policy, "account", raw)
    of_line = dict(zip(typed.lines.tolist(), typed.ids.to_pylist(), strict=True))
    again = {reject.record for reject in typed.rejects if reject.record}
    assert set(keys.drop_null().to_pylist()) == {*of_line.values(), *again}
    assert {line: keys[line - 1].as_py() for line in of_line} == of_line


def test_rows_without_a_column_of_ids_belong_to_no_record(tmp_path: Path) -> None:
    from roe.share.parcels import Key

    assert key(tmp_path, "activity", "account", ["type"]) == Key()
    assert Key().of(pa.table({"type": ["call"]})).to_pylist() == [None]


@pytest.mark.parametrize(
    ("own", "others", "found"),
    [
        (["A", "B"], ["A", None, "A"], (True, [])),
        (["A", "A"], ["A"], (False, [])),
        (["A", None], [], (False, [])),
        (["A"], ["b", "c", "b", "A"], (True, ["b", "c"])),
    ],
)
def test_what_keys_say_of_their_records(own: list[str | None], others: list[str | None], found: tuple[bool, list[str]]) -> None:
    from roe.share.parcels import KEY, Hashed, keys_in, packed

    for number in (1, 3):
        parcels = []
        for of, keys in (("account", own), ("activity", others)):
            column = pa.array(keys, pa.string())
            parcels.append(packed(of, pa.table({KEY: column}), Hashed(number).of(column)))
        rows = pa.concat_tables(parcels)
        are_own, lost, at_several = zip(*keys_in(rows.to_batches(), "account"), strict=True)
        assert (all(are_own), sorted(x for some in lost for x in some)) == found
        assert not any(at_several)


@pytest.mark.parametrize(
    ("ids", "at_several"),
    [
        ([("K1", "A"), ("K2", "B")], False),
        ([("K1", "A"), ("K1", "A")], False),  # the task of A sees both
        ([("K1", "A"), ("K2", "A"), ("K1", "B")], True),
        ([("K1", "A"), ("K1", None)], True),
        ([("K1", None), ("K1", None), (None, "A"), (None, "B")], False),
        ([], False),
    ],
)
def test_ids_at_several_records_are_found_whatever_the_tasks(ids: list[tuple[str | None, str | None]], at_several: bool) -> None:
    from roe.share.parcels import IDS, KEY, TO, Hashed, keys_in, packed

    keys, to = (pa.array([x[i] for x in ids], pa.string()) for i in (0, 1))
    for number in (1, 3, 7):
        parcels = packed(f"{IDS}activity", pa.table({KEY: keys, TO: to}), Hashed(number).of(keys))
        said = list(keys_in(parcels.to_batches(), "account"))
        assert {of for _, _, named in said for of in named} == ({"activity"} if at_several else set())
        assert all(is_own and not lost for is_own, lost, _ in said)


@pytest.mark.parametrize("profile", ["generic", "salesforce", "hubspot"])
@pytest.mark.parametrize(("entity", "field"), [("activity", "account"), ("account", "owner"), ("opportunity", "account")])
def test_many_references_mean_what_each_of_them_does(profile: str, entity: str, field: str, tmp_path: Path) -> None:
    from roe.columns.cells import ColumnReader, Problems
    from roe.columns.load import texts_of
    from roe.data.cells import cells_of
    from roe.data.reading import Reading
    from roe.grammar.clock import zone_of
    from roe.policy.model import DataSource, Keys

    policy = roe.load(policy_text(tmp_path, POLICY.replace("name: t", f"name: t\nprofile: {profile}")))
    odd = [
        "7;8",
        ";",
        "Ann (Inactive)",
        "Ann (Deactivated User)",
        "00G000000000001AAA",
        "00G000000000001",
        "003000000000001",
        "00G1",
        "none",
        "#N/A",
        LONG_ID,
    ]
    texts = [*odd, None, *(f"001{i:012}" for i in range(1500)), *(f"003{i:012}" for i in range(10))]
    zone, f = zone_of(policy.timezone), policy.model.entities[entity][field]
    if field == "owner":  # of which the policy may say which are queues
        f = replace(f, keys=replace(f.keys or Keys(), queues=("001000000000007",)))
    made = [cells_of(f, zone, DataSource(), None, entity) for _ in range(2)]
    column = ColumnReader(field, made[0], zone, None, Reading(entity), Problems(len(texts))).read(pa.array(texts))
    assert texts_of(column).to_pylist() == [made[1].read(x)[0] for x in texts]
