"""The sample database "shop": seventeen related tables, about a million rows, the same ones every time.

    build(server, "shop")            # about 1.1M rows
    build(server, "shop", 0.01)      # the same structure, a hundredth of the rows

Rows are made on the server by INSERT … SELECT over a table of numbers; what looks random is a checksum of the
row's number, so no seed and no state are needed. Works on MariaDB and MySQL.
"""

from __future__ import annotations

from contextlib import closing

from benchmarks.endpoints import MysqlEndpoint
from benchmarks.sample_tables import TABLES, VIEWS, create_table

COUNTRIES = (
    "('DE','Deutschland','EUR',19.00),('FR','France','EUR',20.00),('PL','Polska','PLN',23.00),"
    "('JP','日本','JPY',10.00),('IS','Ísland','ISK',24.00),('GR','Ελλάδα','EUR',24.00),"
    "('BR','Brasil','BRL',17.00),('US','United States','USD',0.00),('TR','Türkiye','TRY',20.00),"
    "('CZ','Česko','CZK',21.00)"
)
FIRST_NAMES = (
    "Ada",
    "Björn",
    "Chloé",
    "Đorđe",
    "Élodie",
    "Fatma",
    "Grace",
    "花子",
    "Igor",
    "José",
    "Łucja",
    "Zoë",
)
LAST_NAMES = (
    "Lovelace",
    "Øvergård",
    "O''Brien",
    "Nuñez",
    "Παππάς",
    "山田",
    "Müller",
    "Ivanov",
    "Şahin",
    "de la Cruz",
)
CITIES = (
    "Köln",
    "Lyon",
    "Łódź",
    "札幌市",
    "Reykjavík",
    "Θεσσαλονίκη",
    "São Paulo",
    "Portland",
    "İzmir",
    "Brno",
)
NOUNS = (
    "Lamp",
    "Kettle",
    "Backpack",
    "Stuhl",
    "Notebook",
    "Teapot",
    "Fahrrad",
    "Headset",
    "Poster",
    "Jacket",
)
ADJECTIVES = (
    "Blue",
    "Gemütlicher",
    "Tiny",
    "Crème",
    "Solid",
    "Waterproof",
    "Vintage",
    "Leichte",
    "Smart",
    "Plain",
)
REVIEWS = (
    "Exactly what I wanted 👍",
    "Ganz gut, aber etwas klein.",
    "Broke after a week.\\nWould not buy again!",
    "星五つ！ ⭐⭐⭐⭐⭐",
    'It is "fine"; my cat likes it 🐈‍⬛',
    "Très bien\\tfini",
    "100% as described \\\\o/",
    "Ok",
)
NOTES = (
    "Please ring twice",
    "Lieferung an Nachbarn möglich",
    "gift 🎁, no invoice",
    "C/O Smith; 3rd floor",
    "",
)


def build(server: MysqlEndpoint, database: str, scale: float = 1.0) -> int:
    """Create the database, its tables and their rows; gives the number of rows.

    `scale` multiplies the big tables, each keeps at least a few rows. Raises pymysql.MySQLError, also when
    the database exists."""
    server.database(database)
    with closing(server.connect(database)) as connection, connection.cursor() as cursor:
        for statement in _settings():
            cursor.execute(statement)
        for statement in _numbers(max(1000, round(500_000 * scale))):
            cursor.execute(statement)
        rows = 0
        for table in TABLES:
            cursor.execute(create_table(table))
            rows += cursor.execute(_rows(table, scale))
        for statement in _afterwards():
            cursor.execute(statement)
        cursor.execute("DROP TABLE numbers")
        for name, query in VIEWS.items():
            cursor.execute(f"CREATE VIEW {name} AS {query}")
        cursor.execute(f"ANALYZE TABLE {', '.join(TABLES)}")
    return rows


def _settings() -> tuple[str, ...]:
    return (
        "SET time_zone = '+00:00'",
        "SET sql_mode = 'STRICT_TRANS_TABLES,ONLY_FULL_GROUP_BY,NO_ENGINE_SUBSTITUTION'",
        "SET foreign_key_checks = 0, unique_checks = 0",  # the rows below keep them; reread by the tests
    )


def _numbers(count: int) -> list[str]:
    """Statements that make the table `numbers` with n = 1 … at least count."""
    statements = ["CREATE TABLE numbers (n int NOT NULL PRIMARY KEY)", "INSERT INTO numbers VALUES (1)"]
    size = 1
    while size < count:
        statements.append(f"INSERT INTO numbers SELECT n + {size} FROM numbers WHERE n + {size} <= {count}")
        size *= 2
    return statements


def _pick(salt: str, below: int) -> str:
    """An expression: a number in [0, below) that depends on n alone."""
    return f"(CRC32(CONCAT(n, '{salt}')) % {below})"


def _one_of(salt: str, values: tuple[str, ...]) -> str:
    quoted = ", ".join(f"'{value}'" for value in values)
    return f"ELT(1 + {_pick(salt, len(values))}, {quoted})"


def _moment(salt: str, start: str = "2023-01-01") -> str:
    return f"'{start}' + INTERVAL {_pick(salt, 86_400 * 700)} SECOND"


def _select(columns: str, count: int) -> str:
    return f"SELECT {columns} FROM numbers WHERE n <= {count}"


def sizes(scale: float) -> dict[str, int]:
    """Rows of the tables that the others follow from."""

    def scaled(count: int, least: int) -> int:
        return max(least, round(count * scale))

    return {
        "products": scaled(6_000, 60),
        "customers": scaled(40_000, 100),
        "addresses": scaled(55_000, 150),
        "orders": scaled(200_000, 200),
        "events": scaled(60_000, 100),
        "search_log": scaled(20_000, 50),
    }


def _rows(table: str, scale: float) -> str:
    size = sizes(scale)
    products, customers, orders = size["products"], size["customers"], size["orders"]
    price = f"1 + {_pick('price', 50_000)} / 100"
    # three of five orders have two lines, the others three or four: two and a half on average
    lines = "SELECT 1 AS line UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4"
    queries = {
        "countries": f"INSERT INTO countries VALUES {COUNTRIES}",
        "warehouses": "INSERT INTO warehouses (name, country, location, active) VALUES "
        "('Köln Nord','DE',POINT(6.96,50.98),1),('Lyon','FR',POINT(4.83,45.76),1),"
        "('札幌','JP',POINT(141.35,43.06),1),('Brno','CZ',POINT(16.61,49.2),0)",
        "brands": "INSERT INTO brands (id, name, founded, logo) "
        + _select(
            f"n * 3, CONCAT({_one_of('b', ADJECTIVES)}, ' & Co. No. ', n), 1901 + {_pick('y', 120)}, "
            "IF(n % 4 = 0, NULL, REPEAT(UNHEX(SHA2(n, 256)), 40))",
            120,
        ),
        "categories": "INSERT INTO categories (id, parent_id, slug, name, position) "
        + _select(
            f"n, IF(n <= 8, NULL, 1 + FLOOR((n - 9) / 6)), CONCAT('category-', n), "
            f"CONCAT({_one_of('c', NOUNS)}, 's ', n), n % 6",
            150,
        ),
        "products": "INSERT INTO products (id, sku, brand_id, category_id, title, description, price, weight_kg,"
        " rating, status, labels, attributes, thumbnail, created_at, updated_at) "
        + _select(
            f"n, CONCAT('SKU-', LPAD(HEX(n * 7919), 8, '0'), IF(n % 9 = 0, 'é', '')), 3 + 3 * {_pick('b', 120)}, "
            f"1 + {_pick('c', 150)}, CONCAT({_one_of('a', ADJECTIVES)}, ' ', {_one_of('n', NOUNS)}, ' ', n), "
            f"IF(n % 10 = 0, NULL, CONCAT(REPEAT(CONCAT({_one_of('d', NOTES)}, '. '), {_pick('r', 12)}), '✓')), "
            f"{price}, IF(n % 7 = 0, NULL, {_pick('w', 40_000)} / 1000), {_pick('s', 5000)} / 1000, "
            f"{_one_of('t', ('draft', 'on sale', 'on sale', 'sold out', 'discontinued'))}, {_pick('l', 32)}, "
            f"JSON_OBJECT('color', {_one_of('k', ADJECTIVES)}, 'sizes', JSON_ARRAY(n % 5, n % 11), 'depth', n / 8), "
            f"IF(n % 3 = 0, NULL, REPEAT(UNHEX(SHA2(n, 256)), 12)), {_moment('p', '2021-01-01')}, {_moment('u')}",
            products,
        ),
        "product_prices": "INSERT INTO product_prices "
        "SELECT n, '2022-01-01' + INTERVAL line * 180 DAY, "
        "IF(line = 2, NULL, '2022-01-01' + INTERVAL line * 180 + 179 DAY), "
        f"{price} + line FROM numbers JOIN (SELECT 0 AS line UNION ALL SELECT 1 UNION ALL SELECT 2) AS l "
        f"WHERE n <= {products}",
        "inventory": "INSERT INTO inventory "
        f"SELECT w, n, CAST({_pick('q', 3000)} AS SIGNED) - 20, {_pick('v', 40)}, "
        f"IF(n % 5 = 0, NULL, {_moment('i')}) "
        "FROM numbers JOIN (SELECT 1 AS w UNION ALL SELECT 2 UNION ALL SELECT 3) AS l "
        f"WHERE n <= {products}",
        "customers": "INSERT INTO customers (id, email, first_name, last_name, birthday, flags, newsletter, credit,"
        " settings, password_hash, created_at, last_seen) "
        # every twentieth number is missing, as after deletions
        + _select(
            f"n + FLOOR((n - 1) / 19), CONCAT('customer', n, '@example.', ELT(1 + n % 3, 'com', 'org', 'net')), "
            f"{_one_of('f', FIRST_NAMES)}, {_one_of('l', LAST_NAMES)}, "
            f"IF(n % 6 = 0, NULL, '1940-01-01' + INTERVAL {_pick('d', 24_000)} DAY), {_pick('g', 256)}, n % 2, "
            f"(CAST({_pick('e', 2_000_000)} AS SIGNED) - 100000) / 10000, "
            "IF(n % 4 = 0, NULL, JSON_OBJECT('theme', IF(n % 2, 'dark', 'light'), 'langs', JSON_ARRAY('de', 'ja'))), "
            f"UNHEX(SHA2(n, 256)), {_moment('m')} + INTERVAL n % 1000 * 1000 MICROSECOND, "
            f"IF(n % 8 = 0, NULL, {_moment('x', '2024-01-01')} + INTERVAL n % 1000003 MICROSECOND)",
            customers,
        ),
        "addresses": "INSERT INTO addresses (customer_id, kind, street, city, postcode, country) "
        + _select(
            f"{_customer('a', customers)}, 1 + n % 2, CONCAT({_one_of('s', LAST_NAMES)}, ' St. ', n % 250), "
            f"{_one_of('c', CITIES)}, LPAD({_pick('z', 100_000)}, 5, '0'), "
            f"{_one_of('k', ('DE', 'FR', 'PL', 'JP', 'IS', 'GR', 'BR', 'US', 'TR', 'CZ'))}",
            size["addresses"],
        ),
        "coupons": "INSERT INTO coupons "
        + _select(
            f"CONCAT('SAVE-', LPAD(n, 4, '0')), 1 + {_pick('p', 60)}, "
            "IF(n % 3 = 0, NULL, '2024-12-31' + INTERVAL n DAY)",
            200,
        ),
        "orders": "INSERT INTO orders (id, customer_id, address_id, coupon, status, note, placed_at, updated_at) "
        + _select(
            f"n + 1000, {_customer('c', customers)}, IF(n % 11 = 0, NULL, 1 + {_pick('a', size['addresses'])}), "
            f"IF(n % 9 = 0, CONCAT('SAVE-', LPAD(1 + {_pick('k', 200)}, 4, '0')), NULL), "
            f"1 + {_pick('s', 6)}, IF(n % 5 = 0, {_one_of('n', NOTES)}, NULL), {_moment('p')}, "
            f"{_moment('p')} + INTERVAL n % 1000000 MICROSECOND",
            orders,
        ),
        "order_items": "INSERT INTO order_items "
        f"SELECT n + 1000, line, 1 + CRC32(CONCAT(n, 'p', line)) % {products}, 1 + CRC32(CONCAT(n, 'q', line)) % 9, "
        "1 + CRC32(CONCAT(n, 'u', line)) % 50000 / 100, IF(n % 9 = 0, 0.0525, 0) "
        f"FROM numbers JOIN ({lines}) AS l ON line <= ELT(1 + n % 5, 2, 2, 2, 3, 4) "
        f"WHERE n <= {orders} ORDER BY n, line",
        "payments": "INSERT INTO payments (order_id, method, amount, reference, paid_at) "
        "SELECT n + 1000, 1 + CRC32(n) % 4, CRC32(CONCAT(n, 'm')) % 90000 / 100, LEFT(SHA2(n, 256), 32), "
        f"{_moment('p')} + INTERVAL 1 HOUR FROM numbers WHERE n <= {orders} AND n % 8 < 5 ORDER BY n",
        "shipments": "INSERT INTO shipments (order_id, warehouse_id, tracking, shipped_at, took) "
        f"SELECT n + 1000, 1 + n % 4, UNHEX(LEFT(SHA2(n, 256), 40)), {_moment('p')} + INTERVAL 2 DAY, "
        f"IF(n % 7 = 0, NULL, SEC_TO_TIME({_pick('t', 500_000)})) "
        f"FROM numbers WHERE n <= {orders} AND n % 8 < 3 ORDER BY n",
        "reviews": "INSERT INTO reviews (product_id, customer_id, stars, body, helpful, written_at) "
        f"SELECT product, customer, stars, body, helpful, written FROM ({_reviews(products, customers, orders)}) AS r",
        "events": "INSERT INTO events (customer_id, name, payload, ip, occurred_at) "
        + _select(
            f"IF(n % 6 = 0, NULL, {_customer('c', customers)}), "
            f"{_one_of('e', ('view', 'click', 'add to cart', 'search', 'léave 🚪'))}, "
            f"JSON_OBJECT('page', CONCAT('/p/', {_pick('p', products)}), 'ms', {_pick('m', 9000)}, "
            f"'tags', JSON_ARRAY({_one_of('t', NOUNS)}, NULL, n % 3 = 0), 'ref', IF(n % 2, NULL, 'mail')), "
            f"UNHEX(HEX(INET6_ATON(CONCAT('10.', n % 256, '.', {_pick('i', 256)}, '.7')))), "
            f"{_moment('o', '2024-06-01')} + INTERVAL n % 999983 MICROSECOND",
            size["events"],
        ),
        "search_log": "INSERT INTO search_log "
        + _select(
            f"{_moment('s', '2024-06-01')}, CONCAT({_one_of('a', ADJECTIVES)}, ' ', {_one_of('b', NOUNS)}), "
            f"{_pick('h', 400)}",
            size["search_log"],
        ),
    }
    return queries[table]


def _customer(salt: str, customers: int) -> str:
    """The id of some customer: numbers in which every twentieth is missing."""
    index = _pick(salt, customers)
    return f"1 + {index} + FLOOR({index} / 19)"


def _reviews(products: int, customers: int, orders: int) -> str:
    """One review a customer and product at most."""
    return (
        f"SELECT 1 + {_pick('p', products)} AS product, {_customer('c', customers)} AS customer, "
        f"1 + MIN({_pick('s', 5)}) AS stars, MIN({_one_of('b', REVIEWS)}) AS body, "
        f"MIN(CAST({_pick('h', 60)} AS SIGNED) - 10) AS helpful, MIN({_moment('w')}) AS written "
        f"FROM numbers WHERE n <= {orders // 8} GROUP BY 1, 2 ORDER BY MIN(n)"
    )


def _afterwards() -> tuple[str, ...]:
    return (
        "UPDATE orders JOIN (SELECT order_id, SUM(ROUND(quantity * unit_price * (1 - discount), 2)) AS total"
        " FROM order_items GROUP BY order_id) AS t ON t.order_id = orders.id SET orders.total = t.total",
        "ALTER TABLE payments AUTO_INCREMENT = 5000000",
        "ALTER TABLE customers AUTO_INCREMENT = 100000",
    )
