//! The program of the README, word for word: SQL and expressions, in this process or on a cluster.
//!
//! ```sh
//! cargo run --release -p windrow-examples --bin readme
//! cargo run --release -p windrow-examples --bin readme -- grpc://127.0.0.1:7070     # the same on a cluster
//! ```

use windrow::prelude::*;

#[tokio::main]
async fn main() -> Result<()> {
    // On the cluster whose URL is given; without one, in this process.
    let session = match std::env::args().nth(1) {
        Some(url) => Session::connect(&url).await?,
        None => Session::embedded().await?,
    };
    let numbers =
        "CREATE TEMPORARY TABLE numbers AS SELECT value AS n, value % 10 AS digit FROM generate_series(1, 1000000)";
    println!("{} rows written", session.write(numbers).await?);

    session.execute("SELECT count(*) AS small FROM numbers WHERE n < 10").await?.show().await?;

    let sums = session
        .table("numbers")
        .await?
        .filter(col("n").gt(lit(10)))?
        .aggregate(vec![col("digit")], vec![sum(col("n")).alias("total")])?
        .sort(vec![col("digit").sort(true, false)])?;
    sums.show().await?;
    session.close().await;
    Ok(())
}
