//! Settings of TLS, the same for each listener.

use std::path::PathBuf;

use clap::Args;

use crate::http::listener::tls::{NamePattern, TlsFiles};

/// Where the help lists these.
const HEADING: &str = "TLS";

/// Defines the settings of one listener: `$flag` begins its flags, `$env` its environment variables.
macro_rules! tls_args {
    ($name:ident, $flag:literal, $env:literal) => {
        #[doc = concat!("TLS of the ", $flag, " listener.")]
        #[derive(Debug, Clone, Args)]
        pub struct $name {
            #[doc = concat!(
                "PEM file with the certificate of the ", $flag, " listener and those that lead from it to one that clients know. \
                 With it TLS is spoken; changes are noticed, at once on SIGHUP."
            )]
            #[arg(
                id = concat!($flag, "_certificate"),
                long = concat!($flag, "-certificate"),
                env = concat!("TRAFFIC_COP_", $env, "_CERTIFICATE"),
                requires = concat!($flag, "_key"),
                value_name = "FILE",
                help_heading = HEADING
            )]
            pub certificate: Option<PathBuf>,
            /// PEM file with its private key.
            #[arg(
                id = concat!($flag, "_key"),
                long = concat!($flag, "-key"),
                env = concat!("TRAFFIC_COP_", $env, "_KEY"),
                requires = concat!($flag, "_certificate"),
                value_name = "FILE",
                help_heading = HEADING
            )]
            pub key: Option<PathBuf>,
            /// PEM file with CA certificates, one of which has to have issued the certificate of a client (mTLS). A token is needed
            /// all the same.
            #[arg(
                id = concat!($flag, "_client_ca"),
                long = concat!($flag, "-client-ca"),
                env = concat!("TRAFFIC_COP_", $env, "_CLIENT_CA"),
                requires = concat!($flag, "_certificate"),
                value_name = "FILE",
                help_heading = HEADING
            )]
            pub client_ca: Option<PathBuf>,
            /// Names one of which the certificate of a client has to be for, with commas; `*` stands for any one label, as in
            /// `dataactions.*.*.mypurecloud.com`.
            #[arg(
                id = concat!($flag, "_client_names"),
                long = concat!($flag, "-client-names"),
                env = concat!("TRAFFIC_COP_", $env, "_CLIENT_NAMES"),
                requires = concat!($flag, "_client_ca"),
                value_delimiter = ',',
                value_name = "NAME",
                help_heading = HEADING
            )]
            pub client_names: Vec<NamePattern>,
        }

        impl $name {
            /// The files that TLS is made from; `None` if it is not to be spoken.
            #[must_use]
            pub fn files(&self) -> Option<TlsFiles> {
                let (certificate, key) = self.certificate.clone().zip(self.key.clone())?;
                Some(TlsFiles {
                    certificate,
                    key,
                    client_ca: self.client_ca.clone(),
                    client_names: self.client_names.clone(),
                })
            }
        }
    };
}

tls_args!(DecisionsTlsArgs, "decisions", "DECISIONS");
tls_args!(AdminTlsArgs, "admin", "ADMIN");

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Only {
        #[command(flatten)]
        decisions: DecisionsTlsArgs,
        #[command(flatten)]
        admin: AdminTlsArgs,
    }

    fn files(arguments: &str) -> Option<(Option<TlsFiles>, Option<TlsFiles>)> {
        let only = Only::try_parse_from(arguments.split(' ')).ok()?;
        Some((only.decisions.files(), only.admin.files()))
    }

    #[test]
    fn each_listener_has_its_own_and_none_speaks_tls_by_default() {
        assert!(matches!(files("x"), Some((None, None))));
        let (decisions, admin) =
            files("x --admin-certificate a --admin-key b --admin-client-ca c").unwrap();
        assert!(decisions.is_none());
        let admin = admin.unwrap();
        assert_eq!((admin.certificate, admin.key), ("a".into(), "b".into()));
        assert_eq!(admin.client_ca, Some("c".into()));
        let names = "x --decisions-certificate a --decisions-key b --decisions-client-ca c --decisions-client-names d.*.e,f";
        let (decisions, _) = files(names).unwrap();
        let names = decisions.unwrap().client_names;
        assert_eq!(names, ["d.*.e".parse().unwrap(), "f".parse().unwrap()]);
    }

    #[test]
    fn half_of_the_settings_is_none() {
        for bad in [
            "x --decisions-certificate a",
            "x --decisions-key a",
            "x --decisions-client-ca a",
            "x --decisions-certificate a --decisions-key b --decisions-client-names d",
            "x --decisions-certificate a --decisions-key b --decisions-client-ca c --decisions-client-names d*",
        ] {
            assert!(files(bad).is_none(), "{bad}");
        }
    }
}
