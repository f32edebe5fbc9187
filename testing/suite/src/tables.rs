//! Small tables with everything that makes joins go wrong: NULL keys, one key that most rows share, no rows at all, only
//! NULLs, keys that have no partner; each in several files, so that scans have several partitions.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use parquet::arrow::ArrowWriter;

/// The kinds of tables.
pub const KINDS: [&str; 4] = ["plain", "skewed", "nulls", "empty"];

/// Files of each table.
const FILES: i64 = 3;

/// Writes the tables `l_<kind>` and `r_<kind>` below `directory` and gives the statements that create them.
pub fn write(directory: &Path) -> Result<Vec<String>, Box<dyn std::error::Error>> {
    let mut statements = vec![];
    for side in ["l", "r"] {
        for kind in KINDS {
            let name = format!("{side}_{kind}");
            let path = directory.join(&name);
            std::fs::create_dir_all(&path)?;
            for file in 0..FILES {
                write_file(&path.join(format!("{file}.parquet")), side, kind, file)?;
            }
            statements.push(format!("CREATE EXTERNAL TABLE {name} STORED AS PARQUET LOCATION '{}/'", path.display()));
        }
    }
    Ok(statements)
}

fn write_file(path: &Path, side: &str, kind: &str, file: i64) -> Result<(), Box<dyn std::error::Error>> {
    let rows = if kind == "empty" { 0 } else { 17 };
    let offset = if side == "l" { 0 } else { 5 };
    let key = |i: i64| match kind {
        "nulls" => None,
        "skewed" if i % 4 != 0 => Some(7),
        // Some keys twice, some on one side only, some NULL.
        _ if i % 6 == 5 => None,
        _ => Some((i + offset + file) % 13),
    };
    let keys: Vec<Option<i64>> = (0..rows).map(key).collect();
    let values: Vec<Option<i64>> = (0..rows).map(|i| (i % 5 != 4).then_some(i * 3 + file + offset)).collect();
    let names: Vec<Option<String>> =
        (0..rows).map(|i| (i % 7 != 6).then(|| format!("{side}{}", (i + file) % 4))).collect();
    let schema = Arc::new(Schema::new(vec![
        Field::new("k", DataType::Int64, true),
        Field::new("v", DataType::Int64, true),
        Field::new("s", DataType::Utf8, true),
    ]));
    let columns: Vec<ArrayRef> =
        vec![Arc::new(Int64Array::from(keys)), Arc::new(Int64Array::from(values)), Arc::new(StringArray::from(names))];
    let batch = RecordBatch::try_new(Arc::clone(&schema), columns)?;
    let mut writer = ArrowWriter::try_new(std::fs::File::create(path)?, schema, None)?;
    writer.write(&batch)?;
    writer.close()?;
    Ok(())
}

/// Every kind of join over two tables: the name of the case, and the statement.
pub fn joins(left: &str, right: &str) -> Vec<(String, String)> {
    let mut cases = vec![];
    for join in ["INNER", "LEFT", "RIGHT", "FULL"] {
        cases.push((
            format!("{join} equal"),
            format!("SELECT l.k, l.v, r.k, r.v, r.s FROM {left} l {join} JOIN {right} r ON l.k = r.k"),
        ));
        cases.push((
            format!("{join} equal and filter"),
            format!("SELECT l.k, l.v, r.v FROM {left} l {join} JOIN {right} r ON l.k = r.k AND l.v < r.v"),
        ));
        cases.push((
            format!("{join} unequal"),
            format!("SELECT l.k, l.v, r.k, r.v FROM {left} l {join} JOIN {right} r ON l.v < r.v"),
        ));
    }
    for join in ["LEFT SEMI", "RIGHT SEMI", "LEFT ANTI", "RIGHT ANTI"] {
        let side = if join.starts_with("LEFT") { "l" } else { "r" };
        cases.push((
            format!("{join} equal"),
            format!("SELECT {side}.k, {side}.v, {side}.s FROM {left} l {join} JOIN {right} r ON l.k = r.k"),
        ));
        cases.push((
            format!("{join} equal and filter"),
            format!("SELECT {side}.k, {side}.v FROM {left} l {join} JOIN {right} r ON l.k = r.k AND l.v <> r.v"),
        ));
    }
    cases.push((
        "mark".into(),
        format!("SELECT l.k, l.v FROM {left} l WHERE l.k IN (SELECT r.k FROM {right} r) OR l.v > 30"),
    ));
    cases.push((
        "mark not exists".into(),
        format!("SELECT l.k, l.v FROM {left} l WHERE NOT EXISTS (SELECT 1 FROM {right} r WHERE r.k = l.k) OR l.v < 10"),
    ));
    cases.push((
        "null-aware anti".into(),
        format!("SELECT l.k, l.v FROM {left} l WHERE l.k NOT IN (SELECT r.k FROM {right} r)"),
    ));
    cases.push((
        "null-aware anti without nulls".into(),
        format!("SELECT l.k, l.v FROM {left} l WHERE l.k NOT IN (SELECT r.k FROM {right} r WHERE r.k IS NOT NULL)"),
    ));
    cases.push(("cross".into(), format!("SELECT l.k, r.v FROM {left} l CROSS JOIN {right} r")));
    cases.push((
        "null-safe equal".into(),
        format!("SELECT l.k, r.v FROM {left} l JOIN {right} r ON l.k IS NOT DISTINCT FROM r.k"),
    ));
    cases.push((
        "scalar subquery".into(),
        format!("SELECT l.k FROM {left} l WHERE l.v > (SELECT avg(r.v) FROM {right} r)"),
    ));
    cases.push((
        "full join, then group".into(),
        format!("SELECT r.s, count(*), sum(l.v) FROM {left} l FULL JOIN {right} r ON l.k = r.k GROUP BY r.s"),
    ));
    cases
}

/// Other statements that are easily wrong when they are spread over tasks: unions with a branch that is gathered, orders
/// that must survive an exchange, limits, windows, grouping sets, one-row subqueries.
pub fn others() -> Vec<&'static str> {
    vec![
        "SELECT count(*) FROM l_plain UNION ALL SELECT count(*) FROM r_plain",
        "SELECT k FROM (SELECT k FROM l_plain ORDER BY k, v, s LIMIT 5) UNION ALL SELECT k FROM r_plain",
        "SELECT k, v FROM l_plain UNION SELECT k, v FROM r_skewed",
        "SELECT k FROM l_plain INTERSECT SELECT k FROM r_plain",
        "SELECT k FROM l_plain EXCEPT SELECT k FROM r_plain",
        "SELECT v, row_number() OVER (ORDER BY v, k, s) FROM l_plain UNION ALL SELECT v, 0 FROM r_plain",
        "SELECT k, count(*) FROM (SELECT k FROM l_skewed ORDER BY k LIMIT 40) GROUP BY k ORDER BY k",
        "SELECT k, sum(v) OVER (PARTITION BY k ORDER BY v, s) FROM l_skewed",
        "SELECT v, lag(v) IGNORE NULLS OVER (ORDER BY k, v, s) FROM l_plain",
        "SELECT v, first_value(v) IGNORE NULLS OVER (PARTITION BY k ORDER BY s, v) FROM l_plain",
        "SELECT k, s, count(*), grouping(k) FROM l_plain GROUP BY GROUPING SETS ((k, s), (k), ())",
        "SELECT DISTINCT k FROM l_skewed ORDER BY k LIMIT 3",
        "SELECT count(DISTINCT v), sum(DISTINCT k) FROM l_plain",
        "SELECT k FROM l_plain WHERE v = (SELECT max(v) FROM r_plain WHERE k = 99)",
        "SELECT (SELECT max(v) FROM r_plain) - (SELECT min(v) FROM l_plain WHERE v > (SELECT avg(v) FROM r_plain))",
        "SELECT l.k, (SELECT count(*) FROM r_plain r WHERE r.k = l.k) FROM l_plain l",
        "SELECT a.k, b.v FROM l_plain a JOIN l_plain b ON a.k = b.k JOIN r_plain c ON b.k = c.k ORDER BY a.k, b.v",
        "SELECT * FROM (VALUES (1, 'a'), (2, NULL)) t(x, y) JOIN l_plain ON x = k",
        "SELECT count(*) FROM l_plain, generate_series(1, 10)",
        "SELECT sum(i) FROM generate_series(1, 1000) t(i)",
        "SELECT k FROM l_plain ORDER BY k DESC NULLS LAST, v, s OFFSET 7 LIMIT 9",
        "SELECT s, avg(v), round(stddev(v), 6) FROM l_plain GROUP BY s HAVING count(*) > 2",
        "WITH t AS (SELECT k, sum(v) AS w FROM l_plain GROUP BY k) SELECT a.k, a.w, b.w FROM t a LEFT JOIN t b ON a.k = b.k + 1",
    ]
}

/// Settings that make the planner choose one algorithm of joining: its name, and what to set.
pub const ALGORITHMS: [(&str, &[(&str, &str)]); 3] = [
    ("broadcast where safe", &[]),
    (
        "hashed",
        &[
            ("datafusion.optimizer.hash_join_single_partition_threshold", "0"),
            ("datafusion.optimizer.hash_join_single_partition_threshold_rows", "0"),
        ],
    ),
    ("sort-merge", &[("datafusion.optimizer.prefer_hash_join", "false")]),
];
