"""The questions the catalog asks, each for a whole schema at once. Names of catalogs are qualified by the
session's search_path, which is pg_catalog alone."""

from __future__ import annotations

# A domain over a domain over a type: the modifier is the one of the innermost domain, a default the one of
# the outermost that has one. {oid} and {typmod} are the column's own.
_UNDER = """
CROSS JOIN LATERAL (
    WITH RECURSIVE under AS (
        SELECT t.oid, {typmod} AS typmod, t.typtype, t.typbasetype, t.typtypmod, t.typname, t.typnamespace,
               t.typcategory, t.typelem, t.typlen, CASE WHEN t.typtype = 'd' THEN t.oid END AS domain,
               t.typnotnull AS required, CASE WHEN t.typtype = 'd' THEN t.typdefault END AS fallback,
               t.typsubscripts
        FROM (SELECT *, {subscripts} AS typsubscripts FROM pg_type) t WHERE t.oid = {oid}
        UNION ALL
        SELECT t.oid, u.typtypmod, t.typtype, t.typbasetype, t.typtypmod, t.typname, t.typnamespace,
               t.typcategory, t.typelem, t.typlen, u.domain, u.required OR t.typnotnull,
               coalesce(u.fallback, CASE WHEN t.typtype = 'd' THEN t.typdefault END), t.typsubscripts
        FROM under u JOIN (SELECT *, {subscripts} AS typsubscripts FROM pg_type) t ON t.oid = u.typbasetype
        WHERE u.typtype = 'd'
    )
    SELECT * FROM under WHERE typtype <> 'd'
) b
JOIN pg_namespace bn ON bn.oid = b.typnamespace
"""
# int2vector and oidvector have elements too, but are no arrays: their length is not variable by typlen alone.
_SUBSCRIPTS = (
    "typcategory = 'A' AND typlen = -1 AND typelem <> 0 AND typname NOT IN ('int2vector', 'oidvector')"
)

TYPE_COLUMNS = """
b.typname::text, bn.nspname::text, format_type(b.oid, b.typmod), b.typmod, b.typtype::text,
b.typcategory::text,
CASE WHEN b.typtype = 'e' THEN (SELECT array_agg(e.enumlabel::text ORDER BY e.enumsortorder)
                                FROM pg_enum e WHERE e.enumtypid = b.oid) END,
CASE WHEN b.domain IS NOT NULL THEN format_type(b.domain, NULL) END, b.required, b.fallback,
CASE WHEN b.typsubscripts THEN (SELECT e.typname::text FROM pg_type e WHERE e.oid = b.typelem) END
"""


def _under(oid: str, typmod: str) -> str:
    return (
        _UNDER.replace("{oid}", oid).replace("{typmod}", typmod).replace("{subscripts}", f"({_SUBSCRIPTS})")
    )


DESCRIBED = f"""
SELECT w.oid::oid, w.typmod::int, {TYPE_COLUMNS}
FROM unnest(%s::oid[], %s::int[]) AS w(oid, typmod) {_under("w.oid", "w.typmod")}
"""

# Partitions are read through their root. Tables made by an extension belong to it, and some are our own.
RELATIONS = """
SELECT c.oid, c.relname::text, c.relkind::text, c.relpersistence::text, c.relispartition,
       coalesce(am.amname::text, ''), coalesce(obj_description(c.oid, 'pg_class'), ''),
       c.reltuples::float8, c.relpages::float8, c.relrowsecurity, c.relhasrules,
       CASE WHEN c.relkind IN ('r', 'm') THEN pg_relation_size(c.oid) ELSE 0 END,
       CASE WHEN c.relkind IN ('r', 'm') THEN pg_table_size(c.oid) ELSE 0 END,
       CASE WHEN c.relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid) END,
       CASE WHEN c.relkind = 'p' THEN pg_get_partkeydef(c.oid) END,
       EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = c.oid) AND NOT c.relispartition
FROM pg_class c LEFT JOIN pg_am am ON am.oid = c.relam
WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = %(schema)s)
  AND c.relkind IN ('r', 'p', 'f', 'v', 'm')
  AND (%(only)s::text[] IS NULL OR c.relname = ANY (%(only)s::text[]))
  AND c.relname NOT IN ('_dbstreams_checkpoint', '_dbstreams_types')
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
                  AND d.deptype = 'e')
ORDER BY c.relname
"""

# A NOT NULL that is not valid (from PostgreSQL 18 on, where it is a constraint) holds for new rows only.
COLUMNS = f"""
SELECT a.attrelid, a.attnum, a.attname::text,
       a.attnotnull AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conrelid = a.attrelid
           AND k.contype = 'n' AND k.conkey = ARRAY[a.attnum] AND NOT k.convalidated),
       a.attidentity::text, a.attgenerated::text,
       pg_get_expr(ad.adbin, ad.adrelid),
       CASE WHEN a.attcollation NOT IN (0, 100) THEN co.collname::text END,
       coalesce(col_description(a.attrelid, a.attnum), ''), ad.oid,
       {TYPE_COLUMNS}
FROM pg_attribute a
LEFT JOIN pg_attrdef ad ON ad.adrelid = a.attrelid AND ad.adnum = a.attnum
LEFT JOIN pg_collation co ON co.oid = a.attcollation
{_under("a.atttypid", "a.atttypmod")}
WHERE a.attrelid = ANY (%s::oid[]) AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attrelid, a.attnum
"""

# Key parts in order; indoption bit 0 is DESC, bit 1 NULLS FIRST (with DESC the default).
INDEXES = """
SELECT i.indrelid, ic.relname::text, i.indisunique, i.indisprimary, am.amname::text,
       i.indpred IS NOT NULL, i.indnatts > i.indnkeyatts, i.indisvalid, i.indisexclusion,
       coalesce((to_jsonb(i) ->> 'indnullsnotdistinct')::bool, false),
       ARRAY(SELECT a.attname::text FROM unnest(i.indkey) WITH ORDINALITY AS k(number, place)
             LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number AND k.number > 0
             WHERE k.place <= i.indnkeyatts ORDER BY k.place),
       ARRAY(SELECT pg_get_indexdef(i.indexrelid, n, false) FROM generate_series(1, i.indnkeyatts) n),
       ARRAY(SELECT o::int FROM unnest(i.indoption) o),
       coalesce(obj_description(i.indexrelid, 'pg_class'), ''),
       EXISTS (SELECT FROM unnest(i.indclass) o JOIN pg_opclass oc ON oc.oid = o WHERE NOT oc.opcdefault),
       pg_get_indexdef(i.indexrelid)
FROM pg_index i
JOIN pg_class ic ON ic.oid = i.indexrelid
JOIN pg_am am ON am.oid = ic.relam
WHERE i.indrelid = ANY (%s::oid[])
ORDER BY i.indrelid, ic.relname
"""

# conparentid: what a partition got from its root is the root's. conenforced and conperiod (of a key WITHOUT
# OVERLAPS, or of a foreign key to one) came with PostgreSQL 18.
CONSTRAINTS = """
SELECT k.conrelid, k.conname::text, k.contype::text, k.convalidated, k.condeferrable,
       ARRAY(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY AS c(number, place)
             JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = c.number ORDER BY c.place),
       rn.nspname::text, rc.relname::text,
       ARRAY(SELECT a.attname::text FROM unnest(k.confkey) WITH ORDINALITY AS c(number, place)
             JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = c.number ORDER BY c.place),
       k.confupdtype::text, k.confdeltype::text, k.confmatchtype::text,
       CASE WHEN k.contype = 'c' THEN pg_get_expr(k.conbin, k.conrelid) END,
       pg_get_constraintdef(k.oid), coalesce((to_jsonb(k) ->> 'conenforced')::bool, true),
       coalesce((to_jsonb(k) ->> 'conperiod')::bool, false)
FROM pg_constraint k
LEFT JOIN pg_class rc ON rc.oid = k.confrelid
LEFT JOIN pg_namespace rn ON rn.oid = rc.relnamespace
WHERE k.conrelid = ANY (%s::oid[]) AND k.contype IN ('c', 'f', 'x', 'p', 'u', 'n') AND k.conparentid = 0
ORDER BY k.conrelid, k.conname
"""

PARTITIONS = """
SELECT i.inhparent, c.relname::text, p.partstrat::text, pg_get_partkeydef(i.inhparent),
       pg_get_expr(c.relpartbound, c.oid), greatest(c.reltuples, 0)::float8
FROM pg_inherits i
JOIN pg_class c ON c.oid = i.inhrelid
JOIN pg_partitioned_table p ON p.partrelid = i.inhparent
WHERE i.inhparent = ANY (%s::oid[])
ORDER BY i.inhparent, c.relname
"""

# Of all leaves below a root: rows and pages as of the last ANALYZE, bytes now.
LEAVES = """
SELECT r.oid, sum(greatest(c.reltuples, 0))::float8, sum(c.relpages)::float8,
       sum(pg_relation_size(c.oid))::int8, sum(pg_table_size(c.oid))::int8
FROM unnest(%s::oid[]) AS r(oid)
CROSS JOIN LATERAL pg_partition_tree(r.oid) t
JOIN pg_class c ON c.oid = t.relid
WHERE t.isleaf AND c.relkind = 'r'
GROUP BY r.oid
"""

# refobjid/refobjsubid: the column that owns the sequence; attrdef: a default that calls it.
SEQUENCES = """
SELECT c.oid, c.relname::text, s.seqstart, s.seqincrement, s.seqmin, s.seqmax, s.seqcycle,
       d.refobjid, d.refobjsubid, d.deptype::text,
       ARRAY(SELECT u.objid FROM pg_depend u WHERE u.classid = 'pg_attrdef'::regclass
             AND u.refclassid = 'pg_class'::regclass AND u.refobjid = c.oid),
       has_sequence_privilege(c.oid, 'SELECT') AND NOT (pg_is_in_recovery() AND c.relpersistence = 'u'),
       n.nspname::text
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_sequence s ON s.seqrelid = c.oid
LEFT JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype IN ('a', 'i')
    AND d.refclassid = 'pg_class'::regclass AND d.refobjsubid > 0
WHERE (n.nspname = %(schema)s OR d.refobjid = ANY (%(tables)s::oid[]))
  AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid
                  AND e.deptype = 'e')
ORDER BY c.relname
"""

ROUTINES = """
SELECT p.proname::text, p.prokind::text,
       CASE WHEN p.prokind = 'a' THEN '' ELSE pg_get_functiondef(p.oid) END
FROM pg_proc p
WHERE p.pronamespace = (SELECT oid FROM pg_namespace WHERE nspname = %(schema)s)
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid
                  AND d.deptype = 'e')
ORDER BY p.proname, p.oid
"""

# tgtype: 1 row, 2 before, 4 insert, 8 delete, 16 update, 32 truncate, 64 instead.
TRIGGERS = """
SELECT t.tgname::text, c.relname::text, t.tgtype::int, pg_get_triggerdef(t.oid)
FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
WHERE t.tgrelid = ANY (%s::oid[]) AND NOT t.tgisinternal
ORDER BY c.relname, t.tgname
"""

OTHERS = """
SELECT 'row security policy', p.polname::text, c.relname::text
FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid WHERE p.polrelid = ANY (%(tables)s::oid[])
UNION ALL
SELECT 'rule', r.rulename::text, c.relname::text
FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class
WHERE r.ev_class = ANY (%(tables)s::oid[]) AND r.rulename <> '_RETURN'
UNION ALL
SELECT 'extended statistics', s.stxname::text, c.relname::text
FROM pg_statistic_ext s JOIN pg_class c ON c.oid = s.stxrelid WHERE s.stxrelid = ANY (%(tables)s::oid[])
ORDER BY 1, 2, 3
"""

DOMAIN_CHECKS = """
SELECT format_type(t.oid, NULL), k.conname::text, pg_get_constraintdef(k.oid)
FROM pg_constraint k JOIN pg_type t ON t.oid = k.contypid
WHERE k.contype = 'c' AND format_type(t.oid, NULL) = ANY (%s::text[])
ORDER BY 1, 2
"""
