"""What `bench_fuzz.py` begins with, and how it is changed: a seeded mutation each time.

Inputs that hold JSON, whole or in a line, are changed as trees or as bytes, all others as bytes;
tokens that readers stumble over (numbers without end, half characters, deep nesting) take the
place of parts. Of what is packed, half of the inputs are changed before it is packed.
"""

from __future__ import annotations

import gzip
import io
import json
import random
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

NOON = datetime(2026, 10, 1, 12, tzinfo=UTC)
DAY = datetime(2026, 10, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
LONGEST = 200_000
Seed = bytes | Callable[[random.Random], bytes]

VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1e308, -1e308, 5e-324, 2**31, 2**63, 2**64, -(2**63) - 1, 10**30,
    10**400, float("nan"), float("inf"), float("-inf"), "", " ", "0", "-0", "NaN", "inf", "1e999",
    "1" * 400, "null", "\x00", "\ud800", "\ufeff", "\u202e", "a" * 5000, "2026-13-45T99:99:99Z",
    "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z", "1970-01-01", "=1+1", "<script>", "%s",
    "../../x", "' OR 1=1 --", [], {}, [[]], [None], {"": None}, [[[[[[[[]]]]]]]], {"a": {"b": []}},
    "https://[::1", "http://x:99999/", "\u0663", "\uff11\uff12", "1_000", "0x10",
    "1,5", "+1", ".", "-",
)  # fmt: skip
TOKENS: tuple[bytes, ...] = (
    b"null", b"NaN", b"Infinity", b"1e999", b"-", b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b"\r",
    b"\n", b"\r\n", b'"', b"'", b",", b";", b"\t", b"[" * 3000,
    b'{"a":' * 3000, b"]", b"}", b"9" * 5000,
    b"\\ud800", b"\xed\xa0\x80", b"<!DOCTYPE x [<!ENTITY a 'b'>]>", b"<![CDATA[", b"]]>", b"&a;",
    b"&#xD800;", b"&#0;", b"&#99999999999;", b"<?xml version='1.0' encoding='utf-7'?>",
    b"encoding='cp037'", b"encoding='zlib'", b"<item>", b"</item>", b"<a>" * 1000, b"<!--", b"-->",
    b"<script>", b"2026-99-99", b"0000-00-00", b"292277026596-12-04", b"\x1f\x8b", b"PK\x05\x06",
    b"PAR1", b"\x28\xb5\x2f\xfd", b"\x7f" * 9, b"=", b"[x]", b"x.y = 1\n", b"'''", b"\xc0\x80",
)  # fmt: skip


def mutated(dice: random.Random, seed: bytes) -> bytes:
    """Return a changed input; once in fifty, the seed itself."""
    if dice.random() < 0.02:
        return seed
    if dice.random() < 0.5:
        for lines in ([seed], seed.splitlines()):
            place = dice.randrange(len(lines))
            try:
                tree = json.loads(lines[place])
            except (ValueError, RecursionError):
                continue
            for _ in range(dice.randint(1, 3)):
                tree = _changed_tree(dice, tree)
            return b"\n".join([*lines[:place], json.dumps(tree).encode(), *lines[place + 1 :]])
    body = bytearray(seed)
    for _ in range(dice.choice((1, 1, 1, 2, 3, 8))):
        _change_bytes(dice, body)
    return bytes(body[:LONGEST])


def changed(dice: random.Random, seed: Seed) -> bytes:
    """Return a changed input."""
    return mutated(dice, seed) if isinstance(seed, bytes) else seed(dice)


def within(plain: bytes, pack: Callable[[bytes], bytes]) -> Seed:
    """Return what changes a packed input from outside, or its content before it is packed.

    From outside alone hardly anything would come past a checksum.
    """
    whole = pack(plain)

    def make(dice: random.Random) -> bytes:
        return mutated(dice, whole) if dice.random() < 0.5 else pack(mutated(dice, plain))

    return make


def _changed_tree(dice: random.Random, tree: Any) -> Any:
    """Return a tree in which one part, chosen on a way down, is another."""
    if isinstance(tree, dict) and tree and dice.random() < 0.9:
        key = dice.choice(list(tree))
        what = dice.random()
        if what < 0.1:
            return {k: v for k, v in tree.items() if k != key}
        if what < 0.15:
            return {**tree, str(dice.choice(VALUES)): tree[key]}
        return {**tree, key: _changed_tree(dice, tree[key])}
    if isinstance(tree, list) and tree and dice.random() < 0.9:
        place, what = dice.randrange(len(tree)), dice.random()
        if what < 0.1:
            return tree[:place] + tree[place + 1 :]
        if what < 0.2:
            return [*tree[:place], tree[place], *tree[place:]]
        if what < 0.25:
            return dice.sample(tree, len(tree))
        return [*tree[:place], _changed_tree(dice, tree[place]), *tree[place + 1 :]]
    return dice.choice(VALUES)


def _change_bytes(dice: random.Random, body: bytearray) -> None:
    place = dice.randrange(len(body) + 1)
    length = dice.choice((1, 2, 4, 16, 100))
    what = dice.randrange(7)
    if what == 0:
        body[place : place + 1] = bytes([dice.randrange(256)])
    elif what == 1:
        del body[place : place + length]
    elif what == 2:
        del body[place:]
    elif what == 3:
        body[place:place] = body[place : place + length] * dice.choice((1, 2, 50))
    elif what == 4:
        other = dice.randrange(len(body) + 1)
        body[place : place + length] = body[other : other + length]
    else:
        token = dice.choice(TOKENS)
        body[place : place + dice.choice((0, len(token)))] = token


def told(values: Any) -> bytes:
    """Return JSON."""
    return json.dumps(values).encode()


def seconds(hours_ago: int) -> int:
    """Return a whole hour before noon, in seconds."""
    return int((NOON - hours_ago * HOUR).timestamp())


def packed(name: str, body: bytes) -> bytes:
    """Return a ZIP archive of one file."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as writer:
        writer.writestr(zipfile.ZipInfo(name, (2025, 2, 1, 0, 0, 0)), body, zipfile.ZIP_DEFLATED)
    return archive.getvalue()


def parquet(told_rows: bytes) -> bytes:
    """Return a Parquet file of rows that are told as JSON; of texts where Arrow has no type."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    refused = (pa.ArrowException, ValueError, TypeError, AttributeError, LookupError, OverflowError)

    def written(rows: Any) -> bytes:
        body = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(rows), body)
        return body.getvalue()

    try:
        return written(json.loads(told_rows))
    except (*refused, RecursionError):
        pass
    try:
        return written([{k: json.dumps(v) for k, v in r.items()} for r in json.loads(told_rows)])
    except (*refused, RecursionError):
        return written([{"title": told_rows.decode("latin-1")}])


def unpacked_member(dice: random.Random, archive: bytes) -> bytes:
    """Return a ZIP archive of which one file is changed, and its checksum fits."""
    with zipfile.ZipFile(io.BytesIO(archive)) as whole:
        parts = {name: whole.read(name) for name in whole.namelist()}
    which, body = dice.choice(sorted(parts)), io.BytesIO()
    with zipfile.ZipFile(body, "w") as writer:
        for name, part in parts.items():
            writer.writestr(name, mutated(dice, part) if name == which else part)
    return body.getvalue()


def zst(body: bytes) -> bytes:
    """Return a zstd frame."""
    import zstandard

    return zstandard.ZstdCompressor().compress(body)


def gz(body: bytes) -> bytes:
    """Return a gzip file."""
    return gzip.compress(body, 6, mtime=0)


RSS = b"""<?xml version="1.0" encoding="UTF-8"?><rss version="2.0"><channel><title>n</title>
<item><guid>g1</guid><title>Bitcoin &lt;b&gt;up&lt;/b&gt; &amp;amp; away</title>
<link>https://example.org/1?utm_source=x</link><description>More</description><author>Ann</author>
<category>Markets</category><pubDate>Thu, 01 Oct 2026 11:30:00 +0000</pubDate></item>
<item><guid>g2</guid><title>ETH waits</title><pubDate>Thu, 01 Oct 2026 11:00:00 GMT</pubDate>
</item></channel></rss>"""
ATOM = b"""<?xml version="1.0" encoding="UTF-8"?><feed xmlns="http://www.w3.org/2005/Atom">
<title>new</title><entry><author><name>/u/ann</name></author><category term="Bitcoin"/>
<content type="html">&lt;!-- SC_OFF --&gt;&lt;div class="md"&gt;&lt;p&gt;to the moon&lt;/p&gt;
&lt;/div&gt;&lt;!-- SC_ON --&gt; &amp;#32; submitted by</content><id>t3_1</id>
<link href="https://www.reddit.com/r/Bitcoin/comments/1/slug/"/>
<updated>2026-10-01T11:30:00+00:00</updated><published>2026-10-01T11:30:00+00:00</published>
<title>Bitcoin 1</title></entry></feed>"""
POST = {
    "name": "t3_1", "id": "1", "subreddit": "Bitcoin", "author": "ann", "title": "Bitcoin 1",
    "selftext": "up", "created_utc": seconds(1), "edited": False, "removed_by_category": None,
    "score": 5, "num_comments": 2, "subreddit_id": "t5_x",
    "permalink": "/r/Bitcoin/comments/1/slug/", "url": "https://example.org/",
}  # fmt: skip
LISTING = told(
    {"kind": "Listing", "data": {"children": [{"kind": "t3", "data": POST}], "after": None,
                                 "before": None, "dist": 1}}
)  # fmt: skip
TOKEN = told({"access_token": "t", "token_type": "bearer", "expires_in": 3600, "scope": "*"})
TWEETS = told(
    {"data": [{"id": "12", "text": "Bitcoin up", "created_at": "2026-10-01T11:55:00.000Z",
               "author_id": "77", "edit_history_tweet_ids": ["12"],
               "note_tweet": {"text": "all of it"}}],
     "meta": {"result_count": 1}}
)  # fmt: skip
KLINES = told(
    [[seconds(n) * 1000, "10", "12", "9", "11", "5.5", seconds(n - 1) * 1000 - 1, "55", 7, "2", "2",
      "0"] for n in (3, 2, 1)]
)  # fmt: skip
COINBASE = told([[seconds(n), 9.0, 12.0, 10.0, 11.0, 5.5] for n in (1, 2, 3)])
KRAKEN = told(
    {"error": [], "result": {"XXBTZUSD": [[seconds(n), "10", "12", "9", "11", "10.5", "5.5", 7]
                                          for n in (3, 2, 1)], "last": seconds(2)}}
)  # fmt: skip
COINDESK = told(
    {"Data": [{"UNIT": "HOUR", "TIMESTAMP": seconds(n), "OPEN": 10.0, "HIGH": 12.0, "LOW": 9.0,
               "CLOSE": 11.0, "TOTAL_INDEX_UPDATES": 3, "VOLUME": 5.5, "QUOTE_VOLUME": 60.0}
              for n in range(24, 14, -1)], "Err": {}}
)  # fmt: skip
COINGECKO = told(
    {k: [[(seconds(n) + 41) * 1000, v] for n in (3, 2, 1)]
     for k, v in (("prices", 6e4), ("market_caps", 2e7), ("total_volumes", 3e10))}
)  # fmt: skip
COINMETRICS = told(
    {"data": [{"asset": "btc", "time": f"2026-09-2{n}T00:00:00.000000000Z", "TxCnt": "12",
               "TxCnt-status": "final",
               "TxCnt-status-time": f"2026-09-2{n + 1}T02:00:00.000000000Z"}
              for n in (6, 7)], "next_page_token": "x"}
)  # fmt: skip
FEAR_GREED = told(
    {"name": "Fear and Greed Index", "metadata": {},
     "data": [{"value": "60", "timestamp": str(int(DAY.timestamp()) - n * 86400),
               "time_until_update": "27"} for n in (0, 1, 2)]}
)  # fmt: skip
CHART = told(
    {"status": "ok", "name": "n", "unit": "u", "period": "day", "description": "d",
     "values": [{"x": int(DAY.timestamp()) - n * 86400, "y": 4e5} for n in (3, 2, 1)]}
)  # fmt: skip
HASHRATE = told(
    {"hashrates": [{"timestamp": int(DAY.timestamp()) - n * 86400, "avgHashrate": 9 * 10**20}
                   for n in (2, 1, 0)], "difficulty": [], "currentHashrate": 5}
)  # fmt: skip
FEES = told({"fastestFee": 12.5, "halfHourFee": 8, "hourFee": 4, "economyFee": 1, "minimumFee": 1})
BLOCK_FEES = told(
    [{"avgHeight": 9 * 10**5 + n, "timestamp": int(DAY.timestamp()) - n * 600, "avgFees": 10**6,
      "USD": 60000} for n in range(6)]
)  # fmt: skip
PAIR = {
    "symbol": "BTCUSDT", "baseAsset": "BTC", "quoteAsset": "USDT", "status": "TRADING",
    "filters": [],
}  # fmt: skip
SPOT = told({"symbols": [{**PAIR, "permissions": ["SPOT"], "isSpotTradingAllowed": True}]})
PERPETUAL = told(
    {"symbols": [{**PAIR, "pair": "BTCUSDT", "contractType": "PERPETUAL", "marginAsset": "USDT",
                  "onboardDate": 1569398400000, "deliveryDate": 4133404800000}]}
)  # fmt: skip
FUNDING = told(
    [{"symbol": "BTCUSDT", "fundingRate": "0.0001", "fundingTime": seconds(n) * 1000,
      "markPrice": "1"} for n in (20, 12, 4)]
)  # fmt: skip
DUMP = b"".join(
    b"%d,10,12,9,11,5.5,%d,55,7,2,2,0\n" % (s * 10**6, (s + 3600) * 10**6 - 1)
    for s in (seconds(n) for n in (3, 2, 1))
)
CSV_BARS = b"open_time,symbol,open,high,low,close,volume\n" + b"".join(
    b"2026-09-30T0%d:00:00Z,BTC,10,12,9,11,5.5\n" % n for n in range(6)
)
CSV_METRICS = b"date,asset,TxCnt,HashRate\n2026-09-29,btc,12,1.5e20\n2026-09-30,btc,13,1.6e20\n"
CSV_TEXTS = (
    b"published_at,source,title,body,url,author,id\n"
    b'2026-09-30T10:00:00Z,news,"Bitcoin, up",More,https://example.org/1,ann,1\n'
    b"2026-09-30 11:00,reddit,Ether,down,https://example.org/2,bob,2\n"
)
JSONL_TEXTS = b"".join(
    told({"created_utc": 1790000000 + n, "title": f"Bitcoin {n}", "selftext": "up",
          "subreddit": "Bitcoin", "author": "ann", "id": f"a{n}", "num_comments": 3}) + b"\n"
    for n in range(3)
)  # fmt: skip
TEXT = "Bitcoin ($BTC) soars &amp; <b>ETH</b> waits https://example.org/a?b=1 \u202e SOL".encode()
TOML = b"""seed = 7
[market]
symbols = ["BTC", "ETH"]
interval = "1h"
[ingest]
sources = ["bars", "news"]
[nightly]
at = "00:20"
[bars]
base_url = "http://127.0.0.1:1"
"""
FEEDS = b'[one]\nurl = "https://example.org/feed"\nabout = "x"\n'
