"""The structure of the sample database: a shop, made the way real MySQL databases are. Parents come first."""

from __future__ import annotations

TABLES: dict[str, str] = {
    "countries": """
        code char(2) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
        name varchar(80) NOT NULL,
        currency char(3) CHARACTER SET ascii NOT NULL,
        vat_rate decimal(4,2) unsigned NOT NULL DEFAULT 0.00
    """,
    "warehouses": """
        id smallint unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY,
        name varchar(100) NOT NULL,
        country char(2) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
        location point NOT NULL COMMENT 'longitude, latitude',
        opens_at time NOT NULL DEFAULT '08:00:00',
        shift_length time NOT NULL DEFAULT '12:30:00',
        active tinyint(1) NOT NULL DEFAULT 1,
        CONSTRAINT warehouses_country FOREIGN KEY (country) REFERENCES countries (code)
    """,
    "brands": """
        id int unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY,
        name varchar(100) NOT NULL UNIQUE,
        founded year DEFAULT NULL,
        logo mediumblob DEFAULT NULL COMMENT 'a picture, any format'
    """,
    "categories": """
        id int unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY,
        parent_id int unsigned DEFAULT NULL,
        slug varchar(120) NOT NULL,
        name varchar(120) NOT NULL,
        position smallint NOT NULL DEFAULT 0,
        UNIQUE KEY categories_slug (slug),
        KEY categories_parent (parent_id, position),
        CONSTRAINT categories_parent FOREIGN KEY (parent_id) REFERENCES categories (id) ON DELETE SET NULL
    """,
    "products": """
        id int unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY,
        sku varchar(32) CHARACTER SET latin1 COLLATE latin1_bin NOT NULL,
        brand_id int unsigned NOT NULL,
        category_id int unsigned NOT NULL,
        title varchar(255) NOT NULL,
        description text DEFAULT NULL,
        price decimal(10,2) unsigned NOT NULL,
        price_with_vat decimal(12,4) GENERATED ALWAYS AS (price * 1.19) STORED,
        weight_kg float DEFAULT NULL,
        rating double DEFAULT NULL,
        status enum('draft','on sale','sold out','discontinued') NOT NULL DEFAULT 'draft',
        labels set('new','eco','fragile','digital','gift') NOT NULL DEFAULT '',
        attributes json DEFAULT NULL,
        thumbnail blob DEFAULT NULL,
        created_at timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP,
        updated_at timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
        UNIQUE KEY products_sku (sku),
        KEY products_brand (brand_id),
        KEY products_category (category_id, status),
        FULLTEXT KEY products_text (title, description),
        CONSTRAINT products_brand FOREIGN KEY (brand_id) REFERENCES brands (id),
        CONSTRAINT products_category FOREIGN KEY (category_id) REFERENCES categories (id),
        CONSTRAINT products_price CHECK (price > 0)
    """,
    "product_prices": """
        product_id int unsigned NOT NULL,
        valid_from date NOT NULL,
        valid_to date DEFAULT NULL,
        price decimal(10,2) NOT NULL,
        PRIMARY KEY (product_id, valid_from),
        CONSTRAINT product_prices_product FOREIGN KEY (product_id) REFERENCES products (id) ON DELETE CASCADE
    """,
    "inventory": """
        warehouse_id smallint unsigned NOT NULL,
        product_id int unsigned NOT NULL,
        quantity mediumint NOT NULL DEFAULT 0,
        reserved mediumint unsigned NOT NULL DEFAULT 0,
        counted_at datetime DEFAULT NULL,
        PRIMARY KEY (warehouse_id, product_id),
        KEY inventory_product (product_id),
        CONSTRAINT inventory_warehouse FOREIGN KEY (warehouse_id) REFERENCES warehouses (id),
        CONSTRAINT inventory_product FOREIGN KEY (product_id) REFERENCES products (id)
    """,
    "customers": """
        id int unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY,
        email varchar(190) NOT NULL,
        first_name varchar(80) NOT NULL,
        last_name varchar(80) NOT NULL,
        birthday date DEFAULT NULL,
        flags bit(8) NOT NULL DEFAULT b'0',
        newsletter tinyint(1) NOT NULL DEFAULT 0,
        credit decimal(12,4) NOT NULL DEFAULT 0.0000,
        settings json DEFAULT NULL,
        password_hash binary(32) DEFAULT NULL,
        created_at timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
        last_seen datetime(6) DEFAULT NULL,
        UNIQUE KEY customers_email (email),
        KEY customers_name (last_name(20), first_name(10))
    """,
    "addresses": """
        id int unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY,
        customer_id int unsigned NOT NULL,
        kind enum('billing','shipping') NOT NULL DEFAULT 'shipping',
        street varchar(200) NOT NULL,
        city varchar(100) NOT NULL,
        postcode varchar(12) NOT NULL,
        country char(2) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
        KEY addresses_customer (customer_id),
        KEY addresses_country (country, city),
        CONSTRAINT addresses_customer FOREIGN KEY (customer_id) REFERENCES customers (id) ON DELETE CASCADE,
        CONSTRAINT addresses_country FOREIGN KEY (country) REFERENCES countries (code) ON UPDATE CASCADE
    """,
    "coupons": """
        code varchar(24) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
        percent tinyint unsigned NOT NULL,
        valid_until date DEFAULT NULL,
        CONSTRAINT coupons_percent CHECK (percent between 1 and 100)
    """,
    "orders": """
        id int unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY,
        customer_id int unsigned NOT NULL,
        address_id int unsigned DEFAULT NULL,
        coupon varchar(24) CHARACTER SET ascii COLLATE ascii_bin DEFAULT NULL,
        status enum('cart','placed','paid','shipped','delivered','returned') NOT NULL DEFAULT 'cart',
        total decimal(12,2) NOT NULL DEFAULT 0.00,
        note varchar(500) DEFAULT NULL,
        placed_at datetime NOT NULL,
        updated_at timestamp(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
        KEY orders_customer (customer_id),
        KEY orders_address (address_id),
        KEY orders_coupon (coupon),
        KEY orders_placed (placed_at DESC, status),
        CONSTRAINT orders_customer FOREIGN KEY (customer_id) REFERENCES customers (id),
        CONSTRAINT orders_address FOREIGN KEY (address_id) REFERENCES addresses (id) ON DELETE SET NULL,
        CONSTRAINT orders_coupon FOREIGN KEY (coupon) REFERENCES coupons (code)
    """,
    "order_items": """
        order_id int unsigned NOT NULL,
        line smallint unsigned NOT NULL,
        product_id int unsigned NOT NULL,
        quantity smallint unsigned NOT NULL DEFAULT 1,
        unit_price decimal(10,2) NOT NULL,
        discount decimal(5,4) NOT NULL DEFAULT 0.0000,
        PRIMARY KEY (order_id, line),
        KEY order_items_product (product_id),
        CONSTRAINT order_items_order FOREIGN KEY (order_id) REFERENCES orders (id) ON DELETE CASCADE,
        CONSTRAINT order_items_product FOREIGN KEY (product_id) REFERENCES products (id)
    """,
    "payments": """
        id bigint unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY,
        order_id int unsigned NOT NULL,
        method enum('card','transfer','voucher','cash') NOT NULL,
        amount decimal(12,2) NOT NULL,
        reference char(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
        paid_at timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP,
        UNIQUE KEY payments_reference (reference),
        KEY payments_order (order_id),
        CONSTRAINT payments_order FOREIGN KEY (order_id) REFERENCES orders (id)
    """,
    "shipments": """
        id int unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY,
        order_id int unsigned NOT NULL,
        warehouse_id smallint unsigned NOT NULL,
        tracking varbinary(20) NOT NULL,
        shipped_at datetime(3) NOT NULL,
        took time DEFAULT NULL COMMENT 'from shelf to door; may exceed a day',
        KEY shipments_order (order_id),
        KEY shipments_warehouse (warehouse_id),
        CONSTRAINT shipments_order FOREIGN KEY (order_id) REFERENCES orders (id),
        CONSTRAINT shipments_warehouse FOREIGN KEY (warehouse_id) REFERENCES warehouses (id)
    """,
    "reviews": """
        id int NOT NULL AUTO_INCREMENT PRIMARY KEY,
        product_id int unsigned NOT NULL,
        customer_id int unsigned NOT NULL,
        stars tinyint unsigned NOT NULL,
        body text NOT NULL,
        helpful int NOT NULL DEFAULT 0,
        written_at datetime NOT NULL,
        UNIQUE KEY reviews_once (product_id, customer_id),
        KEY reviews_customer (customer_id),
        FULLTEXT KEY reviews_body (body),
        CONSTRAINT reviews_product FOREIGN KEY (product_id) REFERENCES products (id),
        CONSTRAINT reviews_customer FOREIGN KEY (customer_id) REFERENCES customers (id),
        CONSTRAINT reviews_stars CHECK (stars between 1 and 5)
    """,
    "events": """
        id bigint unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY,
        customer_id int unsigned DEFAULT NULL,
        name varchar(40) NOT NULL,
        payload json NOT NULL,
        ip varbinary(16) DEFAULT NULL,
        occurred_at datetime(6) NOT NULL,
        KEY events_customer (customer_id, occurred_at),
        CONSTRAINT events_customer FOREIGN KEY (customer_id) REFERENCES customers (id) ON DELETE SET NULL
    """,
    "search_log": """
        searched_at datetime NOT NULL,
        words varchar(200) NOT NULL,
        hits int unsigned NOT NULL,
        KEY search_log_time (searched_at)
    """,
}

COMMENTS = {
    "products": "What is sold; prices are net",
    "orders": "One row an order, carts included",
    "events": "Clicks, as the web shop sends them",
    "search_log": "Appended to only; has no key",
}

VIEWS = {
    "daily_revenue": """
        SELECT date(placed_at) AS day, count(*) AS orders, sum(total) AS revenue
        FROM orders WHERE status <> 'cart' GROUP BY date(placed_at)
    """,
}


def create_table(name: str) -> str:
    """The CREATE TABLE statement of one table."""
    comment = f" COMMENT='{COMMENTS[name]}'" if name in COMMENTS else ""
    return f"CREATE TABLE {name} ({TABLES[name]}) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4{comment}"
