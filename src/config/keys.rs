//! The key that an instance without configured keys makes for itself, and the file that keeps it.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rand::{TryRngCore as _, rngs::OsRng};

use super::links::{KeyBytes, LinkKey, Links};

/// The file's name in the data directory.
const FILE: &str = "secret.key";
/// The id of a generated key; whoever moves it into the configuration keeps the id, so that links stay alive.
const GENERATED_ID: u8 = 0;

/// The key file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// It cannot be read or made.
    #[error("cannot read or create the key file {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// It holds no key. It is never replaced: every link sent so far would die.
    #[error("{} does not hold a key of at least 32 bytes in base64", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
    },
}

impl Links {
    /// The keys that sign and verify tokens, never none: the configured ones, or else the one in
    /// `<data_dir>/secret.key`, which is made (readable by its owner alone) if it is missing.
    ///
    /// # Errors
    /// If that file cannot be read or made, or holds something else.
    pub fn load_keys(&self, data_dir: &Path) -> Result<Vec<LinkKey>, KeyFileError> {
        if !self.keys.is_empty() {
            return Ok(self.keys.clone());
        }
        let path = data_dir.join(FILE);
        let text = read_or_create(data_dir, &path).map_err(|source| KeyFileError::Io { path: path.clone(), source })?;
        let secret = key_in(&text, &path)?;
        Ok(vec![LinkKey { id: GENERATED_ID, secret, secret_file: Some(path) }])
    }

    /// Whether [`Links::load_keys`] would find what it can use. Makes nothing: a file that is missing is none to find.
    ///
    /// # Errors
    /// If that file cannot be read, or holds something else.
    pub fn check_key_file(&self, data_dir: &Path) -> Result<(), KeyFileError> {
        let path = data_dir.join(FILE);
        if !self.keys.is_empty() {
            return Ok(());
        }
        match fs::read_to_string(&path) {
            Ok(text) => key_in(&text, &path).map(drop),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(source) => Err(KeyFileError::Io { path, source }),
        }
    }
}

fn key_in(text: &str, path: &Path) -> Result<KeyBytes, KeyFileError> {
    text.trim().parse().map_err(|_| KeyFileError::Damaged { path: path.to_owned() })
}

fn read_or_create(data_dir: &Path, path: &Path) -> io::Result<String> {
    match fs::read_to_string(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        result => return result,
    }
    DirBuilder::new().recursive(true).mode(0o700).create(data_dir)?;
    match create(data_dir, path) {
        // Another instance on the same directory was faster; its key is the one.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        result => result?,
    }
    fs::read_to_string(path)
}

/// Writes a new key aside and links it into place: nobody ever sees half a key, no crash leaves one, and of two
/// instances starting together only one succeeds.
fn create(data_dir: &Path, path: &Path) -> io::Result<()> {
    let (key, suffix) = (random::<{ KeyBytes::MIN }>()?, random::<8>()?);
    let aside = data_dir.join(format!("{FILE}.{:016x}", u64::from_ne_bytes(suffix)));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&aside)?;
    let linked = writeln!(file, "{}", STANDARD.encode(key))
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::hard_link(&aside, path));
    fs::remove_file(&aside)?;
    linked?;
    File::open(data_dir)?.sync_all()
}

fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    OsRng.try_fill_bytes(&mut bytes).map_err(io::Error::other)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_key_is_made_once_and_kept() {
        let dir = tempfile::tempdir().unwrap();
        let data_dir = dir.path().join("data");
        let first = Links::default().load_keys(&data_dir).unwrap();
        let second = Links::default().load_keys(&data_dir).unwrap();
        assert_eq!(first[0].secret.expose(), second[0].secret.expose());
        assert_eq!(first[0].secret.expose().len(), 32);
        let mode = fs::metadata(data_dir.join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_dir(&data_dir).unwrap().count(), 1, "nothing is left aside");
    }

    #[test]
    fn instances_that_start_together_agree() {
        let dir = tempfile::tempdir().unwrap();
        let keys: Vec<_> = std::thread::scope(|scope| {
            let load = || Links::default().load_keys(dir.path()).unwrap().remove(0);
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(load)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap().secret.expose().to_vec()).collect()
        });
        assert!(keys.iter().all(|key| *key == keys[0]));
    }

    #[test]
    fn a_damaged_file_is_not_replaced() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(FILE), "short\n").unwrap();
        assert!(matches!(Links::default().load_keys(dir.path()), Err(KeyFileError::Damaged { .. })));
        assert_eq!(fs::read_to_string(dir.path().join(FILE)).unwrap(), "short\n");
    }
}
