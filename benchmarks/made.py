"""Made-up accounts, leads and policies for the benchmarks: the same from the same seed."""

from __future__ import annotations

import csv
import random
from collections import Counter
from functools import lru_cache
from pathlib import Path
from typing import Any

COUNTRIES = ["US", "CA", "MX", "DE", "FR", "GB", "NL", "SE", "NO", "JP", "AU", "BR"]
SEGMENTS = ["SMB", "Mid-Market", "Enterprise"]
INDUSTRIES = ["Software", "Fintech", "Healthcare", "Retail", "Manufacturing", "Public Sector", "Energy", "Media"]
STATES = ["CA", "NY", "TX", "WA", "FL", "IL", "MA", "CO", "GA", "OH"]

TEXT_FIELDS = [f"f{i}" for i in range(8)]
NUMBER_FIELDS = ["n0", "n1", "n2"]
# (field, value), (field, from, below), or (field, ">", another field, more than it by so much)
Condition = tuple[str, str] | tuple[str, int, int] | tuple[str, str, str, int]
Rules = list[tuple[str, str, int, int, str]]


def rules(count: int, seed: int = 1) -> Rules:
    """country, segment, least and most employees, owner; they overlap, so that first match matters."""
    rng = random.Random(seed)
    out = []
    for i in range(count):
        low = rng.randrange(0, 9000)
        out.append((rng.choice(COUNTRIES), rng.choice(SEGMENTS), low, low + rng.randrange(10, 2000), f"rep{i % 200}"))
    return out


def policy_text(found: Rules) -> str:
    """The rules and nothing else."""
    lines = ["roe: 1", "name: benchmark", "roles: [ae]", "engagement:", "  account:", "    ae:"]
    return "\n".join([*lines, *_rule_lines(found)]) + "\n"


def _rule_lines(found: Rules) -> list[str]:
    lines = []
    for i, (country, segment, low, high, rep) in enumerate(found):
        condition = f'account.country = "{country}" and account.segment = "{segment}" and account.employees in [{low}..{high})'
        lines += [f"      - name: r{i}", f"        when: '{condition}'", f"        then: {{assign: '\"{rep}\"'}}"]
    return lines


def whole_policy(folder: Path, found: Rules, leads: bool = False) -> None:
    """A policy with definitions, a score, tiers, a territory table and the rules; with `leads`, matching besides."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "territories.csv").write_text(
        "territory,country,segment,industry,region\n"
        + "".join(
            f"{c}-{s}-{i},{c},{s},{i},R{n % 4}\n"
            for n, (c, s, i) in enumerate((c, s, i) for c in COUNTRIES for s in SEGMENTS for i in INDUSTRIES)
        ),
        "utf-8",
    )
    (folder / "tiers.csv").write_text("fit,tier\n>= 50,A\n[20..50),B\n< 20,C\n", "utf-8")
    text = """roe: 1
name: benchmark
roles: [ae]
define:
  account.per_head: account.revenue / account.employees
  account.young: account.created > today - 365 days
  account.home: if account.country in ("US", "CA") then "AMER" else "ROW"
scores:
  fit:
    criteria:
      - {name: size, when: "account.employees >= 500", points: 30}
      - {name: rich, when: "account.per_head > 100", points: 15}
      - {name: vertical, when: 'account.industry in ("Software", "Fintech")', points: 25}
      - {name: young, when: account.young, points: 10}
      - {name: home, when: 'account.home = "AMER"', points: 5}
      - {name: public, when: 'account.industry = "Public Sector"', points: -10}
  tier: {table: tiers.csv, hit: unique}
territories: {table: territories.csv, hit: first}
"""
    if leads:
        text += """matching:
  methods:
    - {name: email-domain, match: domain(lead.email) = account.domain}
"""
    text += "engagement:\n  account:\n    ae:\n"
    text += "\n".join(_rule_lines(found)) + "\n"
    text += """      - name: tier-a
        when: account.tier = "A"
        then: keep
        because: "{account.name} is a tier A account in {territory.name}"
      - name: rest
        then: keep
        because: "{account.name} has a fit of {account.fit}"
"""
    if leads:
        text += """  lead:
    ae:
      - name: known
        when: account.owner.ae != null
        then: {assign: account.owner.ae}
        because: "{lead.email} is at {account.name}"
      - {name: unknown, then: open}
"""
    (folder / "policy.yaml").write_text(text, "utf-8")


def case_of(found: Rules) -> str:
    """The rules as a `CASE` of SQL that gives their numbers, -1 for none."""
    case = " ".join(
        f"WHEN country='{c}' AND segment='{s}' AND employees>={low} AND employees<{high} THEN {i}"
        for i, (c, s, low, high, _) in enumerate(found)
    )
    return f"CASE {case} ELSE -1 END"


def accounts(count: int, seed: int = 2, first: int = 0) -> Any:
    """An Arrow table of twelve columns, a few values missing; ids begin with the number `first`."""
    import numpy as np
    import pyarrow as pa

    rng = np.random.default_rng(seed)

    def pick(values: list[str], missing: float = 0.0) -> Any:
        codes = rng.integers(0, len(values), count).astype(np.int32)
        mask = rng.random(count) < missing if missing else None
        return pa.DictionaryArray.from_arrays(pa.array(codes, mask=mask), pa.array(values)).dictionary_decode()

    text = np.arange(first, first + count).astype("U9")
    employees = rng.integers(0, 11_000, count)
    return pa.table(
        {
            "id": pa.array(np.char.add("A", np.char.zfill(text, 9))),
            "name": pa.array(np.char.add("Company ", text)),
            "domain": pa.array(np.char.add(np.char.add("company-", text), ".com")),
            "country": pick(COUNTRIES),
            "state": pick(STATES, 0.1),
            "city": pick([f"City {i}" for i in range(500)]),
            "industry": pick(INDUSTRIES),
            "segment": pick(SEGMENTS),
            "employees": pa.array(employees, mask=rng.random(count) < 0.02),
            "revenue": pa.array(np.round(rng.random(count) * 1e6, 2)),
            "created": pa.array((rng.integers(17_000, 20_400, count)).astype("datetime64[D]")),
            "owner": pick([f"rep{i}" for i in range(200)]),
        }
    )


def leads(count: int, companies: int, seed: int = 3) -> Any:
    """Leads with an e-mail address at one of the companies, or at none of them."""
    import numpy as np
    import pyarrow as pa

    rng = np.random.default_rng(seed)
    number = np.arange(count).astype("U9")
    company = rng.integers(0, int(companies * 1.25), count).astype("U9")
    email = np.char.add(np.char.add(np.char.add("jo", number), "@company-"), np.char.add(company, ".com"))
    return pa.table({"id": pa.array(np.char.add("L", np.char.zfill(number, 9))), "email": pa.array(email)})


# --- eleven subjects, for one decision at a time --------------------------------------------------------------------


def wide_rules(count: int, seed: int = 1) -> list[list[Condition]]:
    """Rules of two to four conditions on eleven fields: (field, text), or (field, from, below)."""
    rng = random.Random(seed)
    out: list[list[Condition]] = []
    for _ in range(count):
        rule: list[Condition] = []
        for name in rng.sample(TEXT_FIELDS + NUMBER_FIELDS, rng.randrange(2, 5)):
            low = rng.randrange(0, 9000)
            rule.append((name, low, low + rng.randrange(10, 2000)) if name in NUMBER_FIELDS else (name, f"v{rng.randrange(12)}"))
        out.append(rule)
    return out


def wide_records(count: int, seed: int = 2) -> list[dict[str, Any]]:
    rng = random.Random(seed)
    return [
        {**{f: f"v{rng.randrange(12)}" for f in TEXT_FIELDS}, **{f: rng.randrange(11_000) for f in NUMBER_FIELDS}} for _ in range(count)
    ]


def wide_policy(found: list[list[Condition]]) -> str:
    lines = ["roe: 1", "name: benchmark", "roles: [ae]", "fields:", "  account:"]
    lines += [f"    {f}: {{type: string}}" for f in TEXT_FIELDS] + [f"    {f}: {{type: number}}" for f in NUMBER_FIELDS]
    lines += ["engagement:", "  account:", "    ae:"]
    for i, rule in enumerate(found):
        lines.append(f"      - {{name: r{i}, when: '{' and '.join(map(_condition, rule))}', then: open}}")
    return "\n".join(lines) + "\n"


def _condition(c: Condition) -> str:
    if len(c) == 4:
        return f"account.{c[0]} {c[1]} account.{c[2]} + {c[3]}"
    return f'account.{c[0]} = "{c[1]}"' if len(c) == 2 else f"account.{c[0]} in [{c[1]}..{c[2]})"


def opaque_rules(count: int) -> list[list[Condition]]:
    """Rules of one condition each that sets two fields beside each other, so that there are no cells to look a record up in."""
    return [[("n0", ">", "n1", count - i)] for i in range(count)]


def opaque_records(count: int, rules: int, seed: int = 6) -> list[dict[str, Any]]:
    """Records that rules all along the list decide, and some that none does."""
    rng = random.Random(seed)
    return [{**row, "n0": rng.randrange(rules * 11 // 10), "n1": rng.randrange(rules // 3)} for row in wide_records(count)]


# --- keyed tables ---------------------------------------------------------------------------------------------------


def keyed_policy(folder: Path, zips: int, domains: int) -> None:
    """A territory table with so many ZIP codes and named domains."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = ["territory,domain,postal_code"]
    rows += [f"named-{i},company-{i * 7}.com,-" for i in range(domains)]
    rows += [f"patch-{i % 500},-,{i:05d}" for i in range(zips)]
    (folder / "territories.csv").write_text("\n".join(rows) + "\n", "utf-8")
    (folder / "policy.yaml").write_text(
        "roe: 1\nname: keyed\nroles: [ae]\nterritories: {table: territories.csv, hit: first}\n"
        "engagement: {account: {ae: [{name: all, then: keep}]}}\n",
        "utf-8",
    )


def overlapping_policy(folder: Path, count: int, seed: int = 1) -> None:
    """A first-match list of so many rules on six subjects that overlap on purpose, and a catch-all."""
    rng = random.Random(seed)
    countries = [*COUNTRIES, "IT", "ES", "DK", "FI", "PL", "BE", "AT", "CH"]
    rules = []
    for i in range(count):
        low = rng.randrange(0, 10_000)
        parts = ["account.country in (" + ", ".join(f'"{c}"' for c in rng.sample(countries, rng.choice([2, 3]))) + ")"]
        parts += [f'account.segment = "{rng.choice(SEGMENTS)}"'] * (rng.random() < 0.6)
        parts.append(f"account.employees in [{low}..{low + rng.randrange(50, 500)})")
        if rng.random() < 0.6:
            parts.append("account.industry in (" + ", ".join(f'"{x}"' for x in rng.sample(INDUSTRIES, 2)) + ")")
        parts += [f"account.revenue >= {rng.randrange(0, 10**6)}"] * (rng.random() < 0.4)
        parts += [f'account.domain = "d{rng.randrange(1000)}.com"'] * (rng.random() < 0.2)
        rules.append(f"      - {{name: r{i}, when: '{' and '.join(parts)}', then: {rng.choice(['keep', 'open', 'hold', 'return'])}}}")
    lines = ["roe: 1", "name: many", "roles: [ae]", "engagement:", "  account:", "    ae:", *rules, "      - {name: rest, then: hold}"]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "policy.yaml").write_text("\n".join(lines) + "\n", "utf-8")


def listed_policy(folder: Path, count: int) -> None:
    """A list of so many domains, and three rules."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "named.csv").write_text("domain\n" + "".join(f"company-{i}.example\n" for i in range(count)), "utf-8")
    rules = "{name: named, when: account.domain in named, then: hold}, {name: big, when: account.employees > 100, then: open}, {name: rest, then: keep}"
    (folder / "policy.yaml").write_text(
        f"roe: 1\nname: listed\nroles: [ae]\nlists: {{named: {{file: named.csv, key: domain}}}}\nengagement: {{account: {{ae: [{rules}]}}}}\n",
        "utf-8",
    )


def repeated_policy(folder: Path, count: int) -> None:
    """A table of so many rows with the same conditions."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "size.csv").write_text("country,employees,size\n" + "US,>= 10,big\n" * count, "utf-8")
    (folder / "policy.yaml").write_text(
        "roe: 1\nname: repeated\nroles: [ae]\ntables: {size: {table: size.csv}}\nengagement: {account: {ae: [{name: rest, then: keep}]}}\n",
        "utf-8",
    )


def keyed_accounts(count: int, zips: int, seed: int = 4) -> Any:
    import numpy as np
    import pyarrow as pa

    rng = np.random.default_rng(seed)
    number = np.arange(count).astype("U9")
    code = np.char.zfill(rng.integers(0, int(zips * 1.1), count).astype("U5"), 5)
    return pa.table(
        {
            "id": pa.array(np.char.add("A", np.char.zfill(number, 9))),
            "domain": pa.array(np.char.add(np.char.add("company-", number), ".com")),
            "postal_code": pa.array(code),
        }
    )


def pool_policy(folder: Path) -> None:
    (folder / "policy.yaml").write_text(
        """roe: 1
name: pool
roles: [sdr]
pools:
  sdrs: {members: 'rep.role = "SDR"', strategy: weighted, weight: rep.ramp, caps: {per_day: rep.capacity}, fallback: manager}
engagement:
  lead:
    sdr:
      - {name: all, then: {route: sdrs}}
""",
        "utf-8",
    )


def pool_tables(leads: int, reps: int) -> dict[str, Any]:
    """Leads of some companies each, and reps whose caps are reached by some of them."""
    import numpy as np
    import pyarrow as pa

    rng = np.random.default_rng(11)
    days = rng.integers(0, 10**12, leads)
    mails = np.char.add(np.char.add("jo@company-", rng.integers(0, max(1, leads * 7 // 10), leads).astype(str)), ".com")
    lead = {
        "id": np.char.add("L", np.char.zfill(np.arange(leads).astype(str), 8)),
        "email": pa.array(mails),
        "created": pa.array(1_767_225_600_000_000 + days, pa.timestamp("us", "UTC")),
    }
    share = leads / reps
    rep = {
        "id": [f"r{i:03}" for i in range(reps)],
        "role": ["SDR"] * reps,
        "ramp": rng.choice([0.25, 0.5, 0.75, 1.0], reps),
        "capacity": np.floor(rng.uniform(0.6, 1.8, reps) * share) + 1,
    }
    return {"lead": pa.table(lead), "rep": pa.table(rep)}


def company_names(accounts: int, leads: int) -> tuple[list[str], list[str]]:
    """Company names that are made up of the words of real ones, and some of them with a letter missing in every second one.

    A name begins with a rare word of a real name or a surname, made up and as unevenly frequent as surnames are; the words that follow are
    as frequent as they are in real names.
    """
    rng = random.Random(12)
    real = [
        name.split()
        for path in sorted((Path(__file__).resolve().parent / "names").glob("*.csv"))
        for name in (r["name"] for r in rows_of(path))
    ]
    count = Counter(word for words in real for word in words)
    firsts = sorted({words[0] for words in real if count[words[0]] <= 2 and len(words[0]) > 3})
    follow = [word for words in real for word in words[1:] if count[word] >= 3]
    parts = [c + w for c in "bcdfghklmnprstvwz" for w in ("a", "e", "i", "o", "u", "an", "er", "in", "ol", "ar")]
    surnames = ["".join(rng.choice(parts) for _ in range(rng.randint(2, 4))).title() for _ in range(60_000)]
    forms = ["Inc", "GmbH", "Ltd", "LLC", "", ""]

    def own() -> str:
        if rng.random() < 0.35:
            return rng.choice(firsts)
        return surnames[int(len(surnames) * rng.random() ** 2)]

    def name() -> str:
        words = [own(), *(rng.choice(follow) for _ in range(rng.choice((0, 1, 1, 2, 2, 3))))]
        if rng.random() < 0.25:
            words.insert(1, own())
        return " ".join(x for x in (*words, rng.choice(forms)) if x)

    names = [name() for _ in range(accounts)]
    asked = [rng.choice(names) for _ in range(leads)]
    return names, [x[:3] + x[4:] if i % 2 else x for i, x in enumerate(asked)]


def match_files(folder: Path, accounts: int, leads: int) -> tuple[Path, Path]:
    """Two CSV files: accounts with a domain, and leads of which half have a business address and half a misspelt name alone.

    The id of a lead's account follows the `-` in its own.
    """
    rng = random.Random(13)
    names, _ = company_names(accounts, 0)
    for kind in ("accounts", "leads"):
        with (folder / f"{kind}.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            if kind == "accounts":
                writer.writerow(["id", "name", "domain", "country"])
                writer.writerows([f"A{i}", name, f"c{i}.com", "US"] for i, name in enumerate(names))
                continue
            writer.writerow(["id", "company", "email", "country"])
            for n in range(leads):
                i = rng.randrange(accounts)
                name = names[i][:3] + names[i][4:]
                writer.writerow([f"L{n}-A{i}", name, f"x@c{i}.com" if n % 2 else f"x{n}@gmail.com", "US"])
    return folder / "leads.csv", folder / "accounts.csv"


def book_problem(accounts: int, reps: int, places: int, able: int) -> Any:
    """A cycle of books: every account has a value and may go to `able` reps, to each of whom it is worth something more."""
    import numpy as np

    from roe.evaluator.solve import Problem

    rng = np.random.default_rng(1)
    rep = np.concatenate([rng.choice(reps, able, replace=False) for _ in range(accounts)])
    account = np.repeat(np.arange(accounts), able)
    value = rng.integers(0, 1000, accounts) / 10
    worth = value[account] + rng.integers(0, 200, len(account)) / 10
    none, size = np.zeros((reps, 0), np.int64), np.full(reps, places)
    nowhere = np.full(accounts, -1)
    return Problem(accounts, account, rep, worth, size, nowhere, none, none, nowhere, value, np.zeros(reps), size)


def weighted_problem(accounts: int, reps: int) -> Any:
    """Accounts that take places: type D of Chu and Beasley (Computers & Operations Research 24, 1997), the hardest, with worths for costs."""
    import numpy as np

    from roe.evaluator.pairs import Pairs

    rng = np.random.default_rng(7)
    size = rng.integers(1, 101, (accounts, reps))
    worth = size + rng.integers(-10, 11, size.shape) + 11.0
    capacity = np.full(reps, int(0.8 * size.sum() / reps / reps))
    account, rep = np.repeat(np.arange(accounts), reps), np.tile(np.arange(reps), accounts)
    none = np.zeros((reps, 0), np.int64)
    return Pairs(accounts, account, rep, worth.ravel(), size.ravel(), capacity, np.full(accounts, -1), none, none)


def weighted_solver(name: str, accounts: int, reps: int) -> None:
    """Print seconds, the worth of the plan, and its gap: of roe's search, or of one call of CP-SAT that has as long."""
    import time

    import numpy as np

    from roe.evaluator.weighted import SECONDS, exact, solve_weighted

    pairs = weighted_problem(accounts, reps)
    start = time.perf_counter()
    if name == "bare":
        chosen, bound = exact(pairs, pairs.worth.astype(np.int64), np.ones(len(pairs.worth), bool), None, SECONDS, 0)
    else:
        chosen, bound = solve_weighted(pairs, 1.0)
    worth = float(pairs.worth[chosen].sum())
    print(time.perf_counter() - start, worth, (bound - worth) / bound)


def book_solver(name: str, *size: int) -> None:
    """Print seconds, peak MiB, the worth of the plan, and its gap."""
    import resource
    import time

    import numpy as np

    from roe.evaluator.solve import greedy, solve

    p = book_problem(*size)
    start = time.perf_counter()
    if name == "bare":
        from ortools.graph.python.min_cost_flow import SimpleMinCostFlow

        n, m = p.accounts, len(p.capacity)
        flow = SimpleMinCostFlow()
        cost = -np.rint(p.worth * 10).astype(np.int64)
        flow.add_arcs_with_capacity_and_unit_cost(
            p.account.astype(np.int32), (n + p.rep).astype(np.int32), np.ones(len(cost), np.int64), cost
        )
        for tails, room in ((n + np.arange(m), p.capacity), (np.arange(n), np.ones(n))):
            ends, free = np.full(len(tails), n + m, np.int32), np.zeros(len(tails), np.int64)
            flow.add_arcs_with_capacity_and_unit_cost(tails.astype(np.int32), ends, room.astype(np.int64), free)
        flow.set_nodes_supplies(np.arange(n, dtype=np.int32), np.ones(n, np.int64))
        flow.set_node_supply(n + m, -n)
        assert flow.solve() == flow.OPTIMAL
        worth, gap = -flow.optimal_cost() / 10, 0.0
    else:
        found = (solve if name == "ours" else greedy)(p)
        worth, gap = found.objective, found.gap if name == "ours" else 0.0
    print(time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, worth, gap)


def book_policy(folder: Path, accounts: int, reps: int, places: int, able: int) -> None:
    """The same size as a policy with data: reps and accounts in as many regions as leave `able` reps for each, with an affinity."""
    rng = random.Random(4)
    regions = max(reps // able, 1)
    (folder / "data").mkdir(parents=True)
    (folder / "policy.yaml").write_text(
        """roe: 1
name: books
roles: [ae]
fields: {account: {points: number, region: string}, rep: {skills: string}}
books:
  core:
    reps: rep.team = "AE"
    capacity: rep.capacity
    eligible: rep.region = account.region
    value: account.points
    affinity: [{name: skill, when: "contains(rep.skills, account.industry)", worth: 8}]
engagement: {account: {ae: [{name: book, when: account.core != null, then: {assign: account.core}}, {name: free, then: open}]}}
""",
        "utf-8",
    )
    kinds = ["Software", "Fintech", "Retail", "Logistics", "Media"]
    with (folder / "data" / "accounts.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "name", "points", "region", "industry"])
        writer.writerows(
            [f"A{i:06}", f"Account {i}", rng.randrange(100), f"R{rng.randrange(regions)}", rng.choice(kinds)] for i in range(accounts)
        )
    with (folder / "data" / "reps.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "name", "team", "capacity", "region", "skills"])
        writer.writerows([f"r{i}", f"Rep {i}", "AE", places, f"R{i % regions}", " ".join(rng.sample(kinds, 2))] for i in range(reps))


def register_pairs(data: Path | None = None) -> list[tuple[dict[str, str], dict[str, str]]]:
    """neer_match's pairs with their cities, as two records each; none where the data is not at hand."""
    folder = (data or Path(__file__).resolve().parent.parent.parent / "shared" / "data") / "neer_match"
    if not folder.is_dir():
        return []
    left, right, pairs = (rows_of(folder / f"{name}.csv") for name in ("left", "right", "matches"))
    known = {row["company_id"]: {"id": row["company_id"], "name": row["company_name"], "city": row["city"]} for row in (*left, *right)}
    return [(known[m["company_id_left"]], known[m["company_id_right"]]) for m in pairs]


Labelled = tuple[list[str], list[str], list[int | None]]  # names, the names they are looked for in, and the place of the right one


def name_pairs(data: Path | None = None) -> dict[str, list[tuple[str, str]]]:
    """Pairs of names of one company each, by set: the SEC's titles and Nasdaq's lists of the same tickers, names of the same security on
    two exchanges, and, where the data is at hand, neer_match: German companies in badly scanned registers.
    """
    here = Path(__file__).resolve().parent / "names"
    found = {path.stem: [(row["name"], row["other"]) for row in rows_of(path)] for path in sorted(here.glob("*.csv"))}
    folder = (data or Path(__file__).resolve().parent.parent.parent / "shared" / "data") / "neer_match"
    if folder.is_dir():
        left, right, pairs = (rows_of(folder / f"{name}.csv") for name in ("left", "right", "matches"))
        names = {row["company_id"]: row["company_name"] for row in (*left, *right)}
        found["neer_match"] = [(names[m["company_id_left"]], names[m["company_id_right"]]) for m in pairs]
    return found


def without_counterparts(pairs: list[tuple[str, str]], removed: float) -> Labelled:
    """(names, the other names that are left, the place of each name's own one or None), with a share of them taken away.

    A company that stands in several pairs under one name is taken away from all of them.
    """
    gone = set(random.Random(7).sample(range(len(pairs)), int(len(pairs) * removed)))
    companies = one_company(pairs)
    taken = {companies[i] for i in gone}
    gone = {i for i, company in enumerate(companies) if company in taken}
    kept = [i for i in range(len(pairs)) if i not in gone]
    place = {i: n for n, i in enumerate(kept)}
    return [a for a, _ in pairs], [pairs[i][1] for i in kept], [place.get(i) for i in range(len(pairs))]


def rightly_labelled(name: str, labelled: Labelled) -> Labelled:
    """The same without the labels that `other_company.csv` says are wrong: these names count as names without a counterpart."""
    left, right, truth = labelled
    wrong = {(row["name"], row["other"]) for row in rows_of(Path(__file__).with_name("other_company.csv")) if row["set"] == name}
    return left, right, [None if t is not None and (a, right[t]) in wrong else t for a, t in zip(left, truth, strict=True)]


def one_company(pairs: list[tuple[str, str]]) -> list[int]:
    """The number of each pair's company: pairs that have a name in common, but for case and signs, are about one."""
    company = list(range(len(pairs)))
    first: dict[str, int] = {}

    def root(i: int) -> int:
        while company[i] != i:
            i = company[i]
        return i

    for i, names in enumerate(pairs):
        for name in names:
            plain = "".join(c for c in name.lower() if c.isalnum())
            if plain:
                company[root(i)] = root(first.setdefault(plain, i))
    return [root(i) for i in range(len(pairs))]


Answers = list[tuple[float, int]]


def searched(index: Any, names: list[str]) -> Answers:
    """(score, place) of the best one for each name; place -1 for none."""
    return [(index.search(name, 0.02)[:1] or [(0.0, -1)])[0] for name in names]


@lru_cache(maxsize=1)
def _peer(right: tuple[str, ...], left: tuple[str, ...]) -> Answers:
    from rapidfuzz import fuzz, process, utils

    scores = process.cdist(
        [utils.default_process(x) for x in left], [utils.default_process(x) for x in right], scorer=fuzz.token_sort_ratio, workers=-1
    )
    return [(float(row.max()) / 100, int(row.argmax())) for row in scores]


def peer_search(right: list[str], left: list[str]) -> Answers:
    """The same by rapidfuzz: every name with every other one, by sorted words."""
    return _peer(tuple(right), tuple(left))


def blocks_by_cdist(index: Any, asked: list[str]) -> dict[str, float]:
    """Milliseconds of processor time that rapidfuzz takes to score each name against all names that the index looks up for it, and how many these are."""
    import time

    import numpy as np
    from rapidfuzz import fuzz, process, utils

    texts = [utils.default_process(text) for text in index._texts]
    looked_up = [index._postings.arrays(index._looked_up(x), np)[1] for x in asked]
    blocks = [np.unique(np.concatenate(numbers)) if numbers else [] for numbers in looked_up]
    others = [[texts[i] for i in block] for block in blocks]
    plain = [utils.default_process(x) for x in asked]
    start = time.process_time()
    for name, block in zip(plain, others, strict=True):
        if block:
            process.cdist([name], block, scorer=fuzz.token_sort_ratio, workers=1)
    took = time.process_time() - start
    return {"cdist_cpu_ms": took / len(asked) * 1e3, "block": sum(map(len, blocks)) / len(asked)}


def agreement(right: list[str], truth: list[int | None], answers: Answers, least: float) -> tuple[float, float, float]:
    """F1, precision and recall of the answers that score at least so much. Another record with the very same name is right too."""
    given = [(t, i) for t, (score, i) in zip(truth, answers, strict=True) if score >= least]
    correct = sum(t is not None and right[i].lower() == right[t].lower() for t, i in given)
    known = sum(t is not None for t in truth)
    precision, recall = correct / len(given) if given else 1.0, correct / known
    return (2 * precision * recall / (precision + recall) if correct else 0.0), precision, recall


def live_policy(folder: Path) -> None:
    """Leads go to their account's owner, else to a pool of eight."""
    reps = ", ".join(f"r{i}" for i in range(8))
    (folder / "policy.yaml").write_text(
        f"""roe: 1
name: live
roles: [sdr]
matching: default
pools:
  desk: {{strategy: round_robin, members: [{reps}]}}
engagement:
  lead:
    sdr:
      - {{name: owned, when: lead.account.owner.sdr != null, then: {{assign: lead.account.owner.sdr}}}}
      - {{name: desk, then: {{route: desk}}}}
""",
        "utf-8",
    )


def live_records(accounts: int, leads: int) -> tuple[dict[str, list[dict[str, Any]]], list[dict[str, Any]]]:
    """(tables, leads that come in): a quarter of them with an account's domain, a quarter with its misspelt name, half with neither."""
    rng = random.Random(14)
    names, _ = company_names(accounts + leads, 0)
    cities = ["Boston", "Berlin", "Lyon", "Osaka", "Oslo"]
    table = [
        {"id": f"A{i}", "name": name, "domain": f"c{i}.com", "country": "US", "city": rng.choice(cities), "owner": f"r{i % 8}"}
        for i, name in enumerate(names[:accounts])
    ]
    incoming = []
    for n in range(leads):
        i = rng.randrange(accounts)
        name = names[i][:4] + names[i][5:] if n % 4 == 1 else names[accounts + n]
        email = f"x@c{i}.com" if n % 4 == 3 else f"x{n}@gmail.com"
        incoming.append({"id": f"L{n}", "company": name, "email": email, "country": "US", "city": rng.choice(cities)})
    return {"account": table, "lead": [], "rep": [{"id": f"r{i}", "name": f"Rep {i}"} for i in range(8)]}, incoming


def write_records(path: Path, rows: list[dict[str, str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
