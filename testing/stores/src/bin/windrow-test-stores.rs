//! A server for shells and scripts: prints where it is and the variables that clients need, and runs until its standard
//! input is closed.
#![allow(clippy::unwrap_used, reason = "a tool for tests")]

use std::io::{Read, Write};
use std::process::ExitCode;

use windrow_stores_testing::{AzureServer, Config, Faults, GcsServer, HttpConfig, HttpServer, S3Server};

const USAGE: &str = "\
usage: windrow-test-stores s3|http|azure|gcs [option]…

The first line of the output is the URL; further ones are NAME=value, for the environment of clients. It runs until its
standard input is closed.

  s3    --bucket NAME            the bucket (default: windrow)
        --unsigned               signatures are not verified
        --without-conditions     a second create succeeds
        --least-part BYTES       the least size of parts but the last (default: 5 MiB)
        --synthetic PREFIX:COUNT:SUFFIX   keys that are listed and not stored
  http  --directory PATH         what is served (needed)
        --without-ranges         every answer is the whole file
        --without-head           no HEAD
  gcs   prints SERVICE_ACCOUNT=json
  all   --random-faults SEED:RATE    faults of all kinds, 0 <= RATE <= 1";

/// Options with values and without, in the order in which they were given.
struct Options(Vec<(String, Option<String>)>);

const FLAGS: [&str; 4] = ["--unsigned", "--without-conditions", "--without-ranges", "--without-head"];

impl Options {
    fn parse(arguments: impl Iterator<Item = String>) -> Result<Options, String> {
        let (mut options, mut rest) = (Vec::new(), arguments);
        while let Some(name) = rest.next() {
            let value = match FLAGS.contains(&name.as_str()) {
                true => None,
                false => Some(rest.next().ok_or_else(|| format!("{name} needs a value"))?),
            };
            options.push((name, value));
        }
        Ok(Options(options))
    }

    fn take(&mut self, name: &str) -> Option<Option<String>> {
        let at = self.0.iter().position(|(n, _)| n == name)?;
        Some(self.0.remove(at).1)
    }

    fn flag(&mut self, name: &str) -> bool {
        self.take(name).is_some()
    }

    fn value(&mut self, name: &str) -> Option<String> {
        self.take(name).flatten()
    }

    /// Everything that was given must have been taken.
    fn end(&self) -> Result<(), String> {
        self.0.first().map_or(Ok(()), |(name, _)| Err(format!("{name} is unknown here")))
    }
}

enum Server {
    S3(S3Server),
    Http(HttpServer),
    Azure(AzureServer),
    Gcs(GcsServer),
}

impl Server {
    fn faults(&self) -> &Faults {
        match self {
            Server::S3(server) => server.faults(),
            Server::Http(server) => server.faults(),
            Server::Azure(server) => server.faults(),
            Server::Gcs(server) => server.faults(),
        }
    }

    fn lines(&self) -> Vec<String> {
        let variables =
            |list: Vec<(&'static str, String)>| list.into_iter().map(|(name, value)| format!("{name}={value}"));
        match self {
            Server::S3(server) => {
                let bucket = format!("BUCKET={}", server.bucket());
                [server.url(), bucket].into_iter().chain(variables(server.environment())).collect()
            }
            Server::Http(server) => vec![server.url()],
            Server::Azure(server) => [server.url()].into_iter().chain(variables(server.environment())).collect(),
            Server::Gcs(server) => vec![server.url(), format!("SERVICE_ACCOUNT={}", server.service_account())],
        }
    }
}

fn s3(options: &mut Options) -> Result<Server, String> {
    let mut config = Config::default();
    if let Some(bucket) = options.value("--bucket") {
        config = config.buckets(&[&bucket]);
    }
    if options.flag("--unsigned") {
        config = config.unsigned();
    }
    if options.flag("--without-conditions") {
        config = config.without_conditions();
    }
    if let Some(bytes) = options.value("--least-part") {
        config = config.least_part(bytes.parse().map_err(|_| format!("'{bytes}' is no number of bytes"))?);
    }
    while let Some(keys) = options.value("--synthetic") {
        let parts: Vec<&str> = keys.split(':').collect();
        let [prefix, count, suffix] = parts[..] else { return Err(format!("'{keys}' is not PREFIX:COUNT:SUFFIX")) };
        config = config.synthetic_keys(prefix, count.parse().map_err(|_| format!("'{count}' is no count"))?, suffix);
    }
    S3Server::start(config).map(Server::S3).map_err(|error| error.to_string())
}

fn http(options: &mut Options) -> Result<Server, String> {
    let mut config = HttpConfig::directory(options.value("--directory").ok_or("--directory is needed")?);
    if options.flag("--without-ranges") {
        config = config.without_ranges();
    }
    if options.flag("--without-head") {
        config = config.without_head();
    }
    HttpServer::start(config).map(Server::Http).map_err(|error| error.to_string())
}

fn start() -> Result<Server, String> {
    let mut arguments = std::env::args().skip(1);
    let kind = arguments.next().ok_or("which server?")?;
    let mut options = Options::parse(arguments)?;
    let server = match kind.as_str() {
        "s3" => s3(&mut options)?,
        "http" => http(&mut options)?,
        "azure" => Server::Azure(AzureServer::start().map_err(|error| error.to_string())?),
        "gcs" => Server::Gcs(GcsServer::start().map_err(|error| error.to_string())?),
        other => return Err(format!("there is no server '{other}'")),
    };
    if let Some(faults) = options.value("--random-faults") {
        let parsed = faults.split_once(':').and_then(|(seed, rate)| Some((seed.parse().ok()?, rate.parse().ok()?)));
        let (seed, rate) = parsed.ok_or_else(|| format!("'{faults}' is not SEED:RATE"))?;
        server.faults().random(seed, rate);
    }
    options.end()?;
    Ok(server)
}

fn main() -> ExitCode {
    let server = match start() {
        Ok(server) => server,
        Err(error) => {
            eprintln!("error: {error}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let mut out = std::io::stdout().lock();
    for line in server.lines() {
        writeln!(out, "{line}").unwrap();
    }
    out.flush().unwrap();
    let mut sink = [0; 1024];
    // Until the end, or until nobody can write to it any more.
    while std::io::stdin().read(&mut sink).is_ok_and(|read| read > 0) {}
    drop(server);
    ExitCode::SUCCESS
}
