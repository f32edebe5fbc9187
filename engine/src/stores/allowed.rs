//! Which places statements may read and write.

use std::path::{Path as FilePath, PathBuf};

use object_store::path::Path;
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
        if places.iter().any(|place| is_within(place, &meant)) { Ok(()) } else { Err(refused(location)) }
    }

    /// An error if a link leads from a listed place to one of its files that lies elsewhere, where nothing is allowed.
    /// Looks at the file system.
    pub(super) fn check_listed(&self, listed: &Location, files: &[Path]) -> Result<()> {
        let (Self::Only(_), true) = (self, listed.is_local()) else { return Ok(()) };
        let store = listed.store_url()?;
        let base = real(Location::of(&store, listed.path().clone()));
        let check = |place: Location| if is_within(&base, &real(place.clone())) { Ok(()) } else { self.check(&place) };
        let mut last = None;
        for file in files {
            let path = PathBuf::from(format!("/{file}"));
            // Files of one directory come one after the other.
            if path.parent() != last.as_deref() {
                last = path.parent().map(FilePath::to_owned);
                // The place itself may be a single file.
                if let Some(directory) = file.parent().filter(|directory| listed.relative(directory).is_some()) {
                    check(Location::of(&store, directory))?;
                }
            }
            if path.symlink_metadata().is_ok_and(|meta| meta.is_symlink()) {
                check(Location::of(&store, file.clone()))?;
            }
        }
        Ok(())
    }
}

fn is_within(place: &Location, meant: &Location) -> bool {
    place.store() == meant.store() && place.relative(meant.path()).is_some()
}

fn refused(location: &Location) -> Error {
    Error::new(
        ErrorKind::User,
        format!(
            "'{location}' is not among the places that the operator of this cluster allows; the coordinator's option \
             --allow LOCATION adds to them"
        ),
    )
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

    #[test]
    fn links_do_not_lead_out_of_what_is_allowed() {
        let directory = tempfile::tempdir().unwrap();
        let (lake, own, outside) =
            (directory.path().join("lake"), directory.path().join("own"), directory.path().join("out"));
        for path in [&lake.join("sub"), &own, &outside] {
            std::fs::create_dir_all(path).unwrap();
            std::fs::write(path.join("x.csv"), "a\n1\n").unwrap();
        }
        let link = |to: &FilePath, at: &FilePath| std::os::unix::fs::symlink(to, at).unwrap();
        let way = directory.path().join("way");
        link(&outside, &lake.join("y=1"));
        link(&outside.join("x.csv"), &lake.join("linked.csv"));
        link(&lake.join("sub"), &lake.join("y=2"));
        link(&own, &way);
        let allowed = Allowed::only(&[lake.display().to_string()], FilePath::new("/")).unwrap();
        let listed = |place: &FilePath, file: &str| {
            let files = [Path::parse(format!("{}/{file}", place.display()).trim_start_matches('/')).unwrap()];
            allowed.check_listed(&at(&format!("{}/", place.display())), &files)
        };
        // Our own directories are listed without being asked for, wherever they lie.
        for (place, file) in [(&lake, "sub/x.csv"), (&lake, "y=2/x.csv"), (&own, "x.csv"), (&way, "x.csv")] {
            listed(place, file).unwrap();
        }
        for file in ["y=1/x.csv", "linked.csv"] {
            let error = listed(&lake, file).unwrap_err().message;
            assert!(error.contains("--allow") && error.contains(file.split('/').next().unwrap()), "{file}: {error}");
        }
        let pattern = at(&format!("{}/*/x.csv", lake.display()));
        let file = Path::parse(format!("{}/y=1/x.csv", lake.display()).trim_start_matches('/')).unwrap();
        assert!(allowed.check_listed(&pattern, std::slice::from_ref(&file)).is_err());
        assert!(Allowed::Everything.check_listed(&pattern, &[file]).is_ok());
    }
}
