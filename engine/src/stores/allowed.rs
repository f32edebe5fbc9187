//! Which places statements may read and write.

use std::path::{Path as FilePath, PathBuf};

use windrow_common::{Error, ErrorKind, Result};

use super::location::Location;

/// The operator's rule.
#[derive(Clone, Debug, Default)]
pub enum Allowed {
    /// What the process itself may reach: for one's own files, and for servers that only this machine can reach.
    #[default]
    Everything,
    /// These places and what is below them.
    Only(Vec<Location>),
}

impl Allowed {
    /// These places and what is below them. Relative paths start at `base`.
    pub fn only(places: &[String], base: &FilePath) -> Result<Self> {
        let places = places.iter().map(|text| {
            let place = Location::parse(text, base)?;
            if place.is_pattern() {
                return Err(Error::user(format!("'{text}' is a pattern; allow the directory")));
            }
            Ok(real(place))
        });
        Ok(Self::Only(places.collect::<Result<_>>()?))
    }

    /// An error unless the place is allowed.
    pub(super) fn check(&self, location: &Location) -> Result<()> {
        let Self::Only(places) = self else { return Ok(()) };
        let meant = real(location.clone());
        let within = |place: &&Location| place.store() == meant.store() && place.relative(meant.path()).is_some();
        if places.iter().any(|place| within(&place)) {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::User,
            format!(
                "'{location}' is not among the places that the operator of this cluster allows; the coordinator's option \
                 --allow LOCATION adds to them"
            ),
        ))
    }
}

/// Where a local path leads when links are followed, as far as it exists.
fn real(location: Location) -> Location {
    if !location.is_local() {
        return location;
    }
    let path = PathBuf::from(format!("/{}", location.path()));
    let found = path.ancestors().find_map(|above| Some((above, above.canonicalize().ok()?)));
    let Some((above, canonical)) = found else { return location };
    let rest = path.strip_prefix(above).unwrap_or(FilePath::new(""));
    let text = canonical.join(rest);
    match (object_store::path::Path::parse(text.to_string_lossy().trim_start_matches('/')), location.store_url()) {
        (Ok(path), Ok(store)) => Location::of(&store, path),
        _ => location,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Location {
        Location::parse(text, FilePath::new("/")).unwrap()
    }

    #[test]
    fn only_what_is_allowed_and_below_it() {
        let directory = tempfile::tempdir().unwrap();
        let (inside, outside) = (directory.path().join("in"), directory.path().join("out"));
        std::fs::create_dir_all(&inside).unwrap();
        std::fs::create_dir_all(&outside).unwrap();
        std::os::unix::fs::symlink(&outside, inside.join("link")).unwrap();
        let places = [inside.display().to_string(), "s3://lake/a".to_owned()];
        let allowed = Allowed::only(&places, FilePath::new("/")).unwrap();
        let inside = inside.display();
        for good in [format!("{inside}/x/*.csv"), format!("{inside}/"), "s3://lake/a/b".into(), "s3a://lake/a".into()] {
            assert!(allowed.check(&at(&good)).is_ok(), "{good}");
        }
        for bad in [
            format!("{inside}/../out/x.csv"),
            format!("{inside}/link/x.csv"),
            format!("{inside}2/x"),
            "s3://lake/ab".into(),
            "s3://lake/*.csv".into(),
            "s3://other/a".into(),
            "http://lake/a".into(),
        ] {
            let error = allowed.check(&at(&bad)).unwrap_err();
            assert!(error.message.contains("--allow"), "{bad}: {error}");
        }
    }
}
