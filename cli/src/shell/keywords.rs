//! The words of SQL that completion offers.

/// Keywords, in upper case and sorted.
pub const KEYWORDS: &[&str] = &[
    "ALL", "ANALYZE", "AND", "ANTI", "ANY", "ARRAY", "AS", "ASC", "AVRO", "BETWEEN", "BIGINT", "BOOLEAN", "BY", "CASE",
    "CAST", "COPY", "CREATE", "CROSS", "CSV", "CUBE", "CURRENT ROW", "CURRENT_DATE", "CURRENT_TIMESTAMP", "DATE",
    "DEALLOCATE", "DECIMAL", "DELETE", "DESC", "DESCRIBE", "DISTINCT", "DOUBLE", "DROP", "ELSE", "END", "EXCEPT",
    "EXECUTE", "EXISTS", "EXPLAIN", "EXPLAIN ANALYZE", "EXTERNAL", "EXTRACT", "FALSE", "FILTER", "FIRST", "FLOAT",
    "FOLLOWING", "FROM", "FULL", "GROUP BY", "GROUPING SETS", "HAVING", "IF EXISTS", "IF NOT EXISTS", "ILIKE", "IN",
    "INNER", "INSERT INTO", "INSERT OVERWRITE", "INT", "INTERSECT", "INTERVAL", "INTO", "IS", "JOIN", "JSON", "LAST",
    "LATERAL", "LEFT", "LIKE", "LIMIT", "LOCATION", "NATURAL", "NOT", "NULL", "NULLS", "OFFSET", "ON", "OPTIONS", "OR",
    "OR REPLACE", "ORDER BY", "OUTER", "OVER", "PARQUET", "PARTITION BY", "PARTITIONED BY", "PRECEDING", "PREPARE",
    "RANGE", "RECURSIVE", "RESET", "RIGHT", "ROLLUP", "ROWS", "SCHEMA", "SELECT", "SEMI", "SET", "SHOW", "SHOW COLUMNS",
    "SHOW TABLES", "SIMILAR TO", "SMALLINT", "STORED AS", "TABLE", "TEMPORARY", "THEN", "TIMESTAMP", "TO", "TRUE",
    "UNBOUNDED", "UNION", "UNION ALL", "UNNEST", "USING", "VALUES", "VARCHAR", "VIEW", "WHEN", "WHERE", "WINDOW",
    "WITH", "WITH ORDER",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorted_and_upper_case() {
        assert!(KEYWORDS.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(KEYWORDS.iter().all(|word| word.to_uppercase() == *word));
    }
}
