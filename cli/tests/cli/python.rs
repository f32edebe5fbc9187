//! Clients of others, from Python: ADBC over Flight SQL, pandas and polars, against `windrow up`.

use std::process::Command;

use crate::cluster_of_processes::Cluster;
use crate::windrow::data;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cli/clients/flight_sql.py");
const QUERIES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tpch/queries");
const IMPORTS: &str = "import adbc_driver_flightsql, adbc_driver_manager, pandas, polars, pyarrow";

/// A Python that can do these imports, which `requirements` lists. `WINDROW_PYTHON` says which it is, and must be right
/// then: that is how CI makes sure that nothing is skipped.
pub fn python(imports: &str, requirements: &str) -> Option<String> {
    let named = std::env::var("WINDROW_PYTHON").ok();
    let python = named.clone().unwrap_or_else(|| "python3".to_owned());
    let output = match Command::new(&python).args(["-c", imports]).output() {
        Ok(output) if output.status.success() => return Some(python),
        Ok(output) => String::from_utf8_lossy(&output.stderr).lines().last().unwrap_or_default().to_owned(),
        Err(error) => error.to_string(),
    };
    assert!(named.is_none(), "WINDROW_PYTHON={python} cannot be used: {output}");
    println!("skipped, because {python} lacks what {requirements} names: {output}");
    None
}

#[test]
fn adbc_pandas_and_polars_work() {
    let Some(python) = python(IMPORTS, "cli/tests/cli/clients/requirements.txt") else { return };
    let cluster = Cluster::start(2, 1, &[]);
    let output =
        Command::new("timeout").args(["600", &python, SCRIPT, cluster.url(), &data("0.1"), QUERIES]).output().unwrap();
    let (said, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.contains("all shown"), "{said}\n{errors}");
    println!("{said}");
    cluster.stop(0);
}
