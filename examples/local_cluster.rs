//! A cluster of two workers in this process, with every exchange between them: what ran where is in the job's report.
//!
//! ```sh
//! cargo run --release -p windrow-examples --bin local_cluster
//! ```

use windrow::prelude::*;

#[tokio::main]
async fn main() -> Result<()> {
    let session = Session::local_cluster(2, 1).await?;
    for (key, value) in [("windrow.fast_path", "off"), ("windrow.partitions", "4")] {
        session.execute(&format!("SET {key} = '{value}'")).await?.collect().await?;
    }
    let directory = tempfile::tempdir().map_err(|e| Error::io(e.to_string()))?;
    let events = directory.path().join("events").display().to_string() + "/";
    let copy = format!(
        "COPY (SELECT value AS id, value % 100 AS kind FROM generate_series(1, 1000000)) TO '{events}' STORED AS PARQUET"
    );
    session.write(&copy).await?;

    let sql = format!("SELECT a.kind, count(*) FROM '{events}' a JOIN '{events}' b ON a.id = b.id GROUP BY a.kind");
    let (batches, report) = session.execute(&sql).await?.collect().await?;
    let rows: usize = batches.iter().map(|batch| batch.num_rows()).sum();
    println!("{rows} rows");
    for stage in &report.stages {
        println!("{}: {} tasks on {} workers, {} rows", stage.stage, stage.tasks, stage.workers.len(), stage.rows);
    }
    println!("{} bytes moved between the workers", report.fetched_bytes());
    session.close().await;
    Ok(())
}
