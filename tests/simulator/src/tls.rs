//! The server's key and certificate, kept in a directory so that a browser can be told beforehand which key to trust.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{CertificateParams, KeyPair, PublicKeyData};
use sha2::{Digest, Sha256};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::simulator::Error;

const NAMES: [&str; 2] = ["web.whatsapp.com", "localhost"];

/// A key and a self-signed certificate for it.
pub(crate) struct Identity {
    key: KeyPair,
    certificate: CertificateDer<'static>,
    certificate_pem: String,
}

impl Identity {
    /// A new one that is kept nowhere.
    pub(crate) fn generate() -> Result<Self, Error> {
        Self::of(KeyPair::generate()?)
    }

    /// The one in `directory` (`key.pem`, `cert.pem`), made when it is not there.
    pub(crate) fn in_directory(directory: &Path) -> Result<Self, Error> {
        let key_file = directory.join("key.pem");
        // The certificate is signed anew each time: browsers are told to trust the key. The file is for people. A directory
        // that holds a key already may be read-only, as a mounted Secret is.
        if key_file.exists() {
            return Self::of(KeyPair::from_pem(&fs::read_to_string(key_file)?)?);
        }
        fs::create_dir_all(directory)?;
        let identity = Self::generate()?;
        fs::write(directory.join("cert.pem"), &identity.certificate_pem)?;
        // Renamed when whole, so that a reader never sees half a key.
        let unfinished = directory.join("key.pem.new");
        fs::write(&unfinished, identity.key.serialize_pem())?;
        fs::rename(unfinished, &key_file)?;
        Ok(identity)
    }

    fn of(key: KeyPair) -> Result<Self, Error> {
        let certificate = CertificateParams::new(NAMES.map(str::to_owned))?.self_signed(&key)?;
        Ok(Self { key, certificate: certificate.der().clone(), certificate_pem: certificate.pem() })
    }

    /// For Chromium's `--ignore-certificate-errors-spki-list`: base64 of SHA-256 of the key's `SubjectPublicKeyInfo`.
    pub(crate) fn spki(&self) -> String {
        STANDARD.encode(Sha256::digest(self.key.subject_public_key_info()))
    }

    pub(crate) fn acceptor(&self) -> Result<TlsAcceptor, Error> {
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.key.serialize_der()));
        let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![self.certificate.clone()], key)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

/// The SPKI hash of the key in `directory`, which is made when it is not there.
pub fn spki_of(directory: &Path) -> Result<String, Error> {
    Ok(Identity::in_directory(directory)?.spki())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_keeps_its_key() {
        let directory = tempfile::tempdir().unwrap();
        let first = spki_of(directory.path()).unwrap();
        assert_eq!(first.len(), 44, "base64 of 32 bytes");
        assert_eq!(spki_of(directory.path()).unwrap(), first);
        assert_ne!(Identity::generate().unwrap().spki(), first);
    }
}
