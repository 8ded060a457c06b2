//! A conversation's id, as far as it is ever used: hashed with the salt of an environment.

use xxhash_rust::xxh3::{Xxh3, xxh3_64, xxh3_128};

use super::decision::Bucket;
use super::environment::Salt;
use super::judge::evidence::ConversationHash;

/// A conversation id in the form in which it is hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conversation<'a> {
    /// The 16 bytes of an id that reads as a UUID, so that its spelling does not matter.
    Uuid([u8; 16]),
    /// Any other id, as received.
    Text(&'a str),
}

impl<'a> Conversation<'a> {
    /// The conversation called `id`.
    #[must_use]
    pub fn of(id: &'a str) -> Self {
        uuid::Uuid::try_parse(id).map_or(Self::Text(id), |uuid| Self::Uuid(uuid.into_bytes()))
    }

    /// Its place among 10,000 equal ones: XXH3-64 over the salt and the id.
    #[must_use]
    pub fn bucket(&self, salt: &Salt) -> Bucket {
        Bucket::of(self.salted(salt, xxh3_64, Xxh3::digest))
    }

    /// What stands for it in the evidence: XXH3-128 over the salt and the id.
    #[must_use]
    pub fn hash(&self, salt: &Salt) -> ConversationHash {
        ConversationHash(self.salted(salt, xxh3_128, Xxh3::digest128))
    }

    /// A hash over the salt and the id: `short` of all bytes at once, which is the faster way for the usual id, or `long` of
    /// what was put in piece by piece.
    fn salted<T>(&self, salt: &Salt, short: fn(&[u8]) -> T, long: fn(&Xxh3) -> T) -> T {
        match self {
            Self::Uuid(id) => {
                let mut input = [0; 32];
                input[..16].copy_from_slice(&salt.0);
                input[16..].copy_from_slice(id);
                short(&input)
            }
            Self::Text(id) => {
                let mut hasher = Xxh3::new();
                hasher.update(&salt.0);
                hasher.update(id.as_bytes());
                long(&hasher)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SALTS: [Salt; 3] = [
        Salt([0; 16]),
        Salt([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]),
        Salt([0xff; 16]),
    ];

    /// A text and how often it is repeated, and the hash of that conversation id under each of the [`SALTS`].
    ///
    /// These never change: outcomes are joined with exposures that another version of this program may have written. Made
    /// as the golden buckets of the decision were: in Python, `xxhash` 4.1.0, `xxh3_128_intdigest(salt + id)`.
    #[rustfmt::skip]
    const GOLDEN: &[(&str, usize, [u128; 3])] = &[
        ("5f0c9a52-3d0e-4f7e-9b8e-0a4f6b1d2c3e", 1,
            [0x1a2b_eebb_3b95_bbc9_5d9b_d17e_f8e7_9edd, 0x0e0a_feaf_9457_8d08_90e7_76e0_82d5_1bd9, 0xf808_654d_e1e6_155d_a3c3_e98f_aa4c_0266]),
        ("5F0C9A523D0E4F7E9B8E0A4F6B1D2C3E", 1,
            [0x1a2b_eebb_3b95_bbc9_5d9b_d17e_f8e7_9edd, 0x0e0a_feaf_9457_8d08_90e7_76e0_82d5_1bd9, 0xf808_654d_e1e6_155d_a3c3_e98f_aa4c_0266]),
        ("0197c2f0-7b1c-7c3a-8f00-2b9d4e6a1c55", 1,
            [0xa12f_6c3a_0f3b_fdfe_2fc1_b8bb_8d1f_f2e2, 0xe68b_444e_e7c8_d991_54ec_93b0_b362_1d5a, 0xb983_9474_5af2_0810_8301_5014_0704_bf55]),
        ("call-1", 1,
            [0x2df6_d890_9344_c69c_eda7_2e4d_83af_f18e, 0x7b1a_c062_8ccf_f9f7_ef69_b6d0_84cf_f8ab, 0x185b_e61d_c867_f1fa_65cf_1139_ed85_467f]),
        ("x", 112,
            [0x6ba0_de71_80cc_991f_f717_f1e7_62f7_a28e, 0x801a_b3e4_edd6_5f2f_0e84_97fe_3157_65b3, 0xd94c_2db2_3661_2585_69d7_c694_825e_dd38]),
        ("x", 113,
            [0x6166_45c9_6152_6386_6f84_2aef_2aa8_d7ea, 0xc7e3_bf8b_a672_ce39_3b20_126c_6cd3_beef, 0x5249_eeb8_e910_a676_2be3_4075_ed19_e6a0]),
        ("x", 225,
            [0x2c9a_c8bf_2072_00d2_fd99_2778_3414_c90d, 0xa823_aa55_446c_fbdf_5683_ae73_aeff_9ccf, 0xd3db_8fc1_2f3e_18bd_7576_7962_d55b_7e32]),
        ("é", 400,
            [0x2c47_a371_07dd_2988_6696_5587_8124_b63a, 0xed96_b334_cb87_800b_7e7b_8729_1f8e_df40, 0xa932_7632_f842_87f0_bf70_c476_fc11_cf2e]),
    ];

    #[test]
    fn hashes_are_pinned_for_ever() {
        for &(text, times, expected) in GOLDEN {
            let id = text.repeat(times);
            let hashes = SALTS.map(|salt| Conversation::of(&id).hash(&salt).0);
            assert_eq!(hashes, expected, "{text:?} times {times}");
        }
    }
}
