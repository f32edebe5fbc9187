//! SQL on an engine in this process: write a Parquet file, make a table of it, ask it something.
//!
//! ```sh
//! cargo run --release -p windrow-examples --bin sql
//! ```

use windrow::prelude::*;

#[tokio::main]
async fn main() -> Result<()> {
    let directory = tempfile::tempdir().map_err(|e| Error::io(e.to_string()))?;
    let file = directory.path().join("measures.parquet").display().to_string();

    let session = Session::embedded().await?;
    let written = session
        .write(&format!(
            "COPY (SELECT value AS id, value % 7 AS sensor, value * 0.5 AS degrees FROM generate_series(1, 1000000))
             TO '{file}' STORED AS PARQUET"
        ))
        .await?;
    println!("{written} rows written");

    let sql =
        format!("SELECT sensor, count(*) AS n, max(degrees) AS hottest FROM '{file}' GROUP BY sensor ORDER BY sensor");
    let (batches, report) = session.execute(&sql).await?.collect().await?;
    for batch in &batches {
        println!("{batch:?}");
    }
    println!("{} tasks", report.tasks());
    session.close().await;
    Ok(())
}
