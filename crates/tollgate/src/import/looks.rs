//! Whether a word looks like a secret by itself: prefixes that issuers print, and randomness.

/// Beginnings of tokens that common issuers use, and how long such a token is at least.
const PREFIXES: [(&str, usize); 38] = [
    ("ghp_", 12),
    ("gho_", 12),
    ("ghu_", 12),
    ("ghs_", 12),
    ("ghr_", 12),
    ("github_pat_", 16),
    ("glpat-", 12),
    ("sk-", 16),
    ("sk_live_", 12),
    ("sk_test_", 12),
    ("rk_live_", 12),
    ("whsec_", 12),
    ("xoxb-", 12),
    ("xoxp-", 12),
    ("xoxa-", 12),
    ("xoxe-", 12),
    ("xapp-", 12),
    ("AKIA", 16),
    ("ASIA", 16),
    ("AIza", 20),
    ("ya29.", 16),
    ("ntn_", 12),
    ("secret_", 20),
    ("lin_api_", 12),
    ("npm_", 20),
    ("pypi-", 20),
    ("dop_v1_", 16),
    ("hf_", 16),
    ("gsk_", 16),
    ("tvly-", 12),
    ("fc-", 20),
    ("ctx7sk", 12),
    ("shpat_", 12),
    ("SG.", 20),
    ("figd_", 12),
    ("sbp_", 16),
    ("pplx-", 16),
    ("eyJ", 20),
];
/// Shortest word that is judged by its randomness.
const RANDOM_MIN: usize = 24;
/// Shortest word of hexadecimal digits that is.
const HEX_MIN: usize = 32;
/// Bits a character must carry on average: words of languages have below 3.3 at such lengths.
const BITS_MIN: f64 = 3.5;
/// The same for hexadecimal digits, which have 4 at most.
const HEX_BITS_MIN: f64 = 3.0;

/// Whether a word looks like a secret.
pub(super) fn looks_secret(word: &str) -> bool {
    if PREFIXES.iter().any(|(prefix, min)| word.starts_with(prefix) && word.len() >= *min) {
        return true;
    }
    let core: Vec<u8> = word.bytes().filter(|b| !matches!(b, b'-' | b'_' | b'.')).collect();
    let count = |judge: fn(&u8) -> bool| core.iter().filter(|b| judge(b)).count();
    if core.len() >= HEX_MIN && count(u8::is_ascii_hexdigit) == core.len() {
        return count(u8::is_ascii_digit) > 0 && bits(&core) >= HEX_BITS_MIN;
    }
    if core.len() < RANDOM_MIN || bits(&core) < BITS_MIN {
        return false;
    }
    let (small, large) = (count(u8::is_ascii_lowercase), count(u8::is_ascii_uppercase));
    let digits = count(u8::is_ascii_digit);
    let mixed = small > 0 && large > 0 && digits > 0;
    // One case only: names of packages and hosts have few digits, and their words are short.
    let dense = digits >= 6 && word.len() == core.len();
    mixed || dense
}

/// Shannon's entropy for each character.
#[expect(clippy::cast_precision_loss, reason = "words are short")]
fn bits(word: &[u8]) -> f64 {
    let mut counts = [0_usize; 256];
    for byte in word {
        counts[usize::from(*byte)] += 1;
    }
    let share = |count: &usize| {
        let p = *count as f64 / word.len() as f64;
        -p * p.log2()
    };
    counts.iter().filter(|count| **count > 0).map(share).sum()
}

#[cfg(test)]
mod tests {
    use super::looks_secret;

    #[test]
    fn tokens_look_secret() {
        for word in [
            "ghp_abcdefgh1234",
            "sk-proj-abcdefghijk",
            "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.e30.abc",
            "4f2a9c0b7d1e8f3a6b5c4d3e2f1a0b9c",
            "550e8400-e29b-41d4-a716-446655440000",
            "Zm9vYmFyYmF6cXV4MTIzNDU2Nzg5",
            "k3j9x8w7q6p5o4n3m2l1z0y9x8w7",
        ] {
            assert!(looks_secret(word), "{word}");
        }
    }

    #[test]
    fn words_do_not() {
        for word in [
            "modelcontextprotocol",
            "server-sequential-thinking-2025.12.18",
            "mcp-server-kubernetes-enterprise-edition",
            "MyVeryLongClassNameForTestingThings",
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "sk-short",
            "us-east-1.console.example.com",
        ] {
            assert!(!looks_secret(word), "{word}");
        }
    }
}
