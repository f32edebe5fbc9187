//! A query in expressions instead of SQL, its rows as a stream, and its result written to files.
//!
//! ```sh
//! cargo run --release -p windrow-examples --bin expressions
//! cargo run --release -p windrow-examples --bin expressions -- grpc://127.0.0.1:7070     # the same on a cluster
//! ```

use windrow::prelude::*;

#[tokio::main]
async fn main() -> Result<()> {
    let session = match std::env::args().nth(1) {
        Some(url) => Session::connect(&url).await?,
        None => Session::embedded().await?,
    };
    let directory = tempfile::tempdir().map_err(|e| Error::io(e.to_string()))?;
    let orders = directory.path().join("orders").display().to_string() + "/";
    let copy = format!(
        "COPY (SELECT value AS id, value % 1000 AS customer, value % 97 AS amount FROM generate_series(1, 500000))
         TO '{orders}' STORED AS PARQUET"
    );
    session.write(&copy).await?;

    let best = session
        .read(&orders)
        .await?
        .filter(col("amount").gt(lit(90)))?
        .aggregate(vec![col("customer")], vec![sum(col("amount")).alias("total"), count(col("id")).alias("orders")])?
        .sort(vec![col("total").sort(false, false), col("customer").sort(true, false)])?
        .limit(0, 10)?;
    println!("{}", best.to_sql()?);

    let mut rows = best.stream().await?;
    while let Some(batch) = rows.next().await {
        println!("{} rows", batch?.num_rows());
    }
    let target = directory.path().join("best.parquet").display().to_string();
    println!("{} rows written to a file", best.write_parquet(&target).await?);
    session.close().await;
    Ok(())
}
