"""The sample shop as CSV files, made without any server: the tables of `sample`, of the same sizes.

    write(folder)            # about 1.2M rows, one file a table
    write(folder, 0.01)      # a hundredth of the rows

Rows are made by DuckDB over a range of numbers; what looks random is a hash of the row's number, so they are
the same every time with one release of DuckDB. Bytes are hexadecimal, sets and JSON are text.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import duckdb

from benchmarks import sample

_SETTINGS = (
    "SET TimeZone = 'UTC'",
    "SET memory_limit = '512MB'",
    # Numbers that depend on n and a word alone.
    "CREATE MACRO pick(n, salt, below) AS CAST(hash(concat(n, salt)) % below AS BIGINT)",
    "CREATE MACRO moment(n, salt, start) AS CAST(start AS TIMESTAMP) + to_seconds(pick(n, salt, 60480000))",
    # Ids of customers, in which every twentieth is missing as after deletions.
    "CREATE MACRO customer(n, salt, count) AS 1 + pick(n, salt, count) + pick(n, salt, count) // 19",
)


def write(folder: Path, scale: float = 1.0) -> int:
    """Write `<table>.csv` for every table into an existing folder; gives the number of rows."""
    rows = 0
    with closing(duckdb.connect(":memory:")) as session:
        for statement in _SETTINGS:
            session.execute(statement)
        for table, query in _queries(scale).items():
            session.execute(f"CREATE TEMPORARY TABLE {table} AS {query}")
            path = str(folder / f"{table}.csv").replace("'", "''")
            made = session.execute(f"COPY {table} TO '{path}' (HEADER)").fetchone()
            rows += int(made[0]) if made else 0
    return rows


def _one_of(salt: str, values: tuple[str, ...]) -> str:
    """The values are written as MySQL's literals: quotes doubled, backslashes escaping."""
    listed = ", ".join(f"E'{value}'" for value in values)
    return f"([{listed}])[1 + pick(n, '{salt}', {len(values)})]"


def _from(count: int) -> str:
    return f"FROM range(1, {count + 1}) AS r(n)"


def _queries(scale: float) -> dict[str, str]:
    size = sample.sizes(scale)
    products, customers, orders = size["products"], size["customers"], size["orders"]
    addresses = size["addresses"]
    price = "CAST(1 + pick(n, 'price', 50000) / 100 AS DECIMAL(10,2))"
    return {
        "countries": f"SELECT * FROM (VALUES {sample.COUNTRIES}) AS c(code, name, currency, vat_rate)",
        "warehouses": "SELECT * FROM (VALUES (1, 'Köln Nord', 'DE', 6.96, 50.98, true),"
        " (2, 'Lyon', 'FR', 4.83, 45.76, true), (3, '札幌', 'JP', 141.35, 43.06, true),"
        " (4, 'Brno', 'CZ', 16.61, 49.2, false)) AS w(id, name, country, longitude, latitude, active)",
        "brands": f"SELECT n * 3 AS id, {_one_of('b', sample.ADJECTIVES)} || ' & Co. No. ' || n AS name,"
        f" 1901 + pick(n, 'y', 120) AS founded {_from(120)}",
        "categories": "SELECT n AS id, CASE WHEN n > 8 THEN 1 + (n - 9) // 6 END AS parent_id,"
        f" 'category-' || n AS slug, {_one_of('c', sample.NOUNS)} || 's ' || n AS name, n % 6 AS position"
        f" {_from(150)}",
        "products": "SELECT n AS id, 'SKU-' || lpad(to_base(n * 7919, 16), 8, '0') AS sku,"
        " 3 + 3 * pick(n, 'b', 120) AS brand_id, 1 + pick(n, 'c', 150) AS category_id,"
        f" {_one_of('a', sample.ADJECTIVES)} || ' ' || {_one_of('n', sample.NOUNS)} || ' ' || n AS title,"
        f" CASE WHEN n % 10 > 0 THEN repeat({_one_of('d', sample.NOTES)} || '. ', pick(n, 'r', 12)) || '✓'"
        " END"
        f" AS description, {price} AS price,"
        " CASE WHEN n % 7 > 0 THEN pick(n, 'w', 40000) / 1000 END AS weight_kg,"
        " pick(n, 's', 5000) / 1000 AS rating,"
        f" {_one_of('t', ('draft', 'on sale', 'on sale', 'sold out', 'discontinued'))} AS status,"
        f" to_json({{'color': {_one_of('k', sample.ADJECTIVES)}, 'sizes': [n % 5, n % 11]}}) AS attributes,"
        f" moment(n, 'p', '2021-01-01') AS created_at {_from(products)}",
        "product_prices": "SELECT n AS product_id, DATE '2022-01-01' + CAST(l.line * 180 AS INTEGER) AS"
        " valid_from,"
        " CASE WHEN l.line < 2 THEN DATE '2022-01-01' + CAST(l.line * 180 + 179 AS INTEGER) END AS valid_to,"
        f" {price} + l.line AS price {_from(products)} CROSS JOIN range(3) AS l(line)",
        "inventory": "SELECT w.w AS warehouse_id, n AS product_id, pick(n, 'q', 3000) - 20 AS quantity,"
        " pick(n, 'v', 40) AS reserved,"
        " CASE WHEN n % 5 > 0 THEN moment(n, 'i', '2023-01-01') END AS counted_at"
        f" {_from(products)} CROSS JOIN range(1, 4) AS w(w)",
        "customers": "SELECT n + (n - 1) // 19 AS id,"
        " 'customer' || n || '@example.' || (['com', 'org', 'net'])[1 + n % 3] AS email,"
        f" {_one_of('f', sample.FIRST_NAMES)} AS first_name, {_one_of('l', sample.LAST_NAMES)} AS last_name,"
        " CASE WHEN n % 6 > 0 THEN DATE '1940-01-01' + CAST(pick(n, 'd', 24000) AS INTEGER) END AS birthday,"
        " n % 2 = 1 AS newsletter, CAST((pick(n, 'e', 2000000) - 100000) / 10000 AS DECIMAL(12,4)) AS credit,"
        " CASE WHEN n % 4 > 0 THEN to_json({'theme': CASE WHEN n % 2 = 1 THEN 'dark' ELSE 'light' END}) END"
        f" AS settings, sha256(CAST(n AS VARCHAR)) AS password_hash,"
        " moment(n, 'm', '2023-01-01') + to_milliseconds(n % 1000) AS created_at,"
        " CASE WHEN n % 8 > 0 THEN moment(n, 'x', '2024-01-01') + to_microseconds(n % 1000003) END AS"
        " last_seen"
        f" {_from(customers)}",
        "addresses": f"SELECT n AS id, customer(n, 'a', {customers}) AS customer_id,"
        " (['billing', 'shipping'])[1 + n % 2] AS kind,"
        f" {_one_of('s', sample.LAST_NAMES)} || ' St. ' || n % 250 AS street,"
        f" {_one_of('c', sample.CITIES)} AS city, lpad(CAST(pick(n, 'z', 100000) AS VARCHAR), 5, '0') AS"
        " postcode,"
        f" {_one_of('k', ('DE', 'FR', 'PL', 'JP', 'IS', 'GR', 'BR', 'US', 'TR', 'CZ'))} AS country"
        f" {_from(addresses)}",
        "coupons": "SELECT 'SAVE-' || lpad(CAST(n AS VARCHAR), 4, '0') AS code, 1 + pick(n, 'p', 60) AS"
        " percent,"
        " CASE WHEN n % 3 > 0 THEN DATE '2024-12-31' + CAST(n AS INTEGER) END AS valid_until"
        f" {_from(200)}",
        "orders": f"SELECT n + 1000 AS id, customer(n, 'c', {customers}) AS customer_id,"
        f" CASE WHEN n % 11 > 0 THEN 1 + pick(n, 'a', {addresses}) END AS address_id,"
        " CASE WHEN n % 9 = 0 THEN 'SAVE-' || lpad(CAST(1 + pick(n, 'k', 200) AS VARCHAR), 4, '0') END AS"
        " coupon,"
        f" {_one_of('s', ('cart', 'placed', 'paid', 'shipped', 'delivered', 'returned'))} AS status,"
        f" CASE WHEN n % 5 = 0 THEN {_one_of('n', sample.NOTES)} END AS note,"
        " moment(n, 'p', '2023-01-01') AS placed_at,"
        f" moment(n, 'p', '2023-01-01') + to_microseconds(n % 1000000) AS updated_at {_from(orders)}",
        "order_items": "SELECT n + 1000 AS order_id, l.line AS line,"
        f" 1 + pick(concat(n, l.line), 'p', {products}) AS product_id,"
        " 1 + pick(concat(n, l.line), 'q', 9) AS quantity,"
        " CAST(1 + pick(concat(n, l.line), 'u', 50000) / 100 AS DECIMAL(10,2)) AS unit_price,"
        " CAST(CASE WHEN n % 9 = 0 THEN 0.0525 ELSE 0 END AS DECIMAL(5,4)) AS discount"
        f" {_from(orders)} JOIN range(1, 5) AS l(line) ON l.line <= ([2, 2, 2, 3, 4])[1 + n % 5]"
        " ORDER BY n, l.line",
        "payments": "SELECT row_number() OVER (ORDER BY n) AS id, n + 1000 AS order_id,"
        f" {_one_of('m', ('card', 'transfer', 'voucher', 'cash'))} AS method,"
        " CAST(pick(n, 'a', 90000) / 100 AS DECIMAL(12,2)) AS amount,"
        " left(sha256(CAST(n AS VARCHAR)), 32) AS reference,"
        f" moment(n, 'p', '2023-01-01') + to_hours(1) AS paid_at {_from(orders)} WHERE n % 8 < 5 ORDER BY n",
        "shipments": "SELECT row_number() OVER (ORDER BY n) AS id, n + 1000 AS order_id, 1 + n % 4 AS"
        " warehouse_id,"
        " left(sha256(CAST(n AS VARCHAR)), 40) AS tracking,"
        f" moment(n, 'p', '2023-01-01') + to_days(2) AS shipped_at {_from(orders)} WHERE n % 8 < 3 ORDER"
        " BY n",
        "reviews": "SELECT row_number() OVER (ORDER BY min(n)) AS id, product_id, customer_id, min(stars)"
        " AS stars,"
        " min(body) AS body, min(written_at) AS written_at FROM"
        f" (SELECT n, 1 + pick(n, 'p', {products}) AS product_id, customer(n, 'c', {customers}) AS"
        " customer_id,"
        f" 1 + pick(n, 's', 5) AS stars, {_one_of('b', sample.REVIEWS)} AS body,"
        f" moment(n, 'w', '2023-01-01') AS written_at {_from(orders // 8)}) GROUP BY product_id, customer_id",
        "events": f"SELECT n AS id, CASE WHEN n % 6 > 0 THEN customer(n, 'c', {customers}) END AS"
        " customer_id,"
        f" {_one_of('e', ('view', 'click', 'add to cart', 'search', 'léave 🚪'))} AS name,"
        f" to_json({{'page': '/p/' || pick(n, 'p', {products}), 'ms': pick(n, 'm', 9000), 'tags':"
        f" [{_one_of('t', sample.NOUNS)},"
        f" NULL]}}) AS payload, '10.' || n % 256 || '.' || pick(n, 'i', 256) || '.7'"
        " AS ip, moment(n, 'o', '2024-06-01') + to_microseconds(n % 999983) AS occurred_at"
        f" {_from(size['events'])}",
        "search_log": "SELECT moment(n, 's', '2024-06-01') AS searched_at,"
        f" {_one_of('a', sample.ADJECTIVES)} || ' ' || {_one_of('b', sample.NOUNS)} AS words,"
        f" pick(n, 'h', 400) AS hits {_from(size['search_log'])}",
    }
