"""Names and values that say a column was written after the record came: activity, a rep's marks, other tools' scores, the end of the sale.

A name alone convicts nothing: `leakage` also asks that the column goes with the outcome. A table of patterns, so that you can read and extend it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from roe.dynamic import Value

LAST = r"(last|latest|most_recent|recent|final|letzte[rs]?)"
EVENT = (
    r"(notable|activit(y|ies)|action|interaction|engage(d|ment)|touch(ed|point)?|contact(ed)?|call(ed)?|e?mail(ed)?|meeting|response|reply|replied|event"
    r"|modified|modification|update[ds]?|change[ds]?|note|step|stage|status|disposition|outcome|campaign_response|login|seen|visit(ed)?|session|aktivitaet|kontakt)"
)
OF_A_SALE = r"(lead|deal|sales?|sdr|bdr|ae|rep|agent|owner|opportunity|opp|pipeline|prospect|contact|call|crm|follow_?up)"


@dataclass(frozen=True, slots=True)
class Mark:
    """Names that match `pattern`, but not `unless`, belong to a column that is `written`; `firm` if that needs no strong figure beside it."""

    written: str
    pattern: re.Pattern[str]
    unless: re.Pattern[str] | None = None
    firm: bool = True


def _mark(written: str, pattern: str, unless: str = "", firm: bool = True) -> Mark:
    return Mark(written, re.compile(rf"(^|_){pattern}(_|$)"), re.compile(rf"(^|_)({unless})(_|$)") if unless else None, firm)


HONEST_LEVELS = (
    "marital|employment|citizenship|residency|immigration|smoking|funding|growth|company|career|life|education|student|housing|credit|legal|tax|vip|loyalty|membership|"
    "account|customer|consent|opt_in|subscription|glassdoor|app|star|review|esg|bond|air|water|soil|hotel|safety"
)
MARKS = (
    _mark("at every new activity", rf"{LAST}_({OF_A_SALE}_)?{EVENT}"),
    _mark("at every new activity", r"(days?|hours?|weeks?|time)_since_(the_)?(last|latest)_\w+", r"funding|round|purchase|launch"),
    _mark("by reps while they work the lead", r"(tags?|labels?|disposition|next_steps?|follow_?ups?|call_(result|outcome|status)|objections?)", r"price|product|white|private"),
    _mark("by reps while they work the lead", r"(notes?|comments?|remarks?|feedback)", r"footnote|release"),
    _mark("by reps while they work the lead", rf"{OF_A_SALE}_(status|stage|state|quality|rating|grade|temperature|priority|interest|verdict|opinion|sentiment|feeling)"),
    _mark("by reps while they work the lead", r"(verdict|gut_feeling|gut|impression|judge?ment|temperature|(dis)?qualified|(dis)?qualification)", r"degree|education|academic|professional|body|room"),
    _mark("by reps while they work the lead", r"(status|stage|rating|quality|priority|grade|outcome|result|sentiment)", HONEST_LEVELS + "|page|image|data|air|build", firm=False),
    _mark("by a tool that keeps scoring the lead", r"(activity|engagement|profile|lead|prospect|intent|conversion|propensity|behaviou?r(al)?|quality|readiness|heat)_(score|index|grade|rank|points|percentile|tier)"),
    _mark("by a tool that keeps scoring the lead", r"(score|index|win_probability|probability|forecast(_category)?|likelihood)", HONEST_LEVELS + "|fico|nps|price|consumer|development|income|z|test|sat|gmat|exam|body|mass|risk", firm=False),
    _mark("when the sale ends", r"((clos(ed?|ing)|won|lost|loss|win|churn(ed)?|cancel(led|lation)?|reject(ed|ion)|disqualif\w+|drop_?off|exit|abschluss|verlust)_(date|day|time|at|on|reason|code|note|to|by|amount|value|month|quarter|grund|datum))"),
    _mark("when the sale ends", r"((reason_(for_)?(lost|loss|losing|closing|won|win|rejection|disqualification)|lostreason|lossreason|days_to_(close|win|convert|conversion)|sales_cycle(_days|_length)?|competitor_(won|chosen)))"),
    _mark("when the sale ends", r"(convert(ed)?_(date|at|on|by|account|contact|opportunity|time)|conversion_(date|at|time|page)|(contract|invoice|payment|onboarding|kickoff|signature|signed)(_\w+)?)", r"terms|history|method|preference|type", firm=False),
)  # fmt: skip

SALE = re.compile(
    r"\b(e-?mails? (opened|sent|bounced|clicked|received|link clicked|marked spam)|sms sent|mail(ed)?|replied|no (answer|reply|response)|voice ?mail|ringing|switched off"
    r"|busy|call(ed)? back|callback|call (done|later|attempted|scheduled)|wrong number|invalid number|number not provided|not reachable|unreachable|will revert|revert(ed)?|follow(ed)?[- ]?up"
    r"|contacted|not contacted|attempted to contact|unsubscribed|resubscribed|(not |un)?interested|in touch|hung up|closed|won|lost|converted|signed|disqualified|unqualified"
    r"|duplicate|junk|not eligible|demo (done|held|scheduled)|proposal( sent)?|negotiation|contract( sent)?|nurtur(e|ing)"
    r"|form submitted|page visited|conversation)\b",
    re.IGNORECASE,
)


def mark_of(name: str) -> Mark | None:
    """The first mark that a column's name bears."""
    return next((m for m in MARKS if m.pattern.search(name) and not (m.unless and m.unless.search(name))), None)


def steps_of_a_sale(values: Iterable[Value], share: float = 0.25, kinds: int = 2) -> list[str]:
    """The commonest texts of a column that are steps of a sale, if `share` of its filled cells are, of `kinds` or more; else none."""
    counts = Counter(x for x in values if isinstance(x, str))
    steps = [(n, x) for x, n in counts.items() if SALE.search(x)]
    if len(steps) < kinds or sum(n for n, _ in steps) < share * sum(counts.values()):
        return []
    return [x for _, x in sorted(steps, key=lambda step: (-step[0], step[1]))]
