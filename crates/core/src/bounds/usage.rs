//! Bounds of metering, prices and the ledger of usage.

/// Finished calls that wait to be counted. At 10,000 calls a second they wait for a second and a half
/// before the cheap count is taken instead.
pub const COUNTING_CALLS_MAX: usize = 16_384;
/// Bytes of arguments and results that wait to be counted: four replies of the largest size.
pub const COUNTING_BYTES_MAX: usize = 64 * super::MIB;
/// While there is work, what counts looks for more every so many milliseconds, instead of being woken
/// for each call.
pub const COUNTING_TICK_MILLIS: u64 = 5;
/// Rows that wait for the ledger, some 400 bytes each. Beyond them rows are lost, and counted.
pub const PENDING_ROWS_MAX: usize = 131_072;
/// With `on_failure: closed` calls are refused when so many rows wait: the rest is for those in flight.
pub const PENDING_ROWS_CLOSED: usize = PENDING_ROWS_MAX / 2;
/// With `on_failure: closed` calls are refused when the ledger has failed for so long.
pub const FAILING_CLOSED_MILLIS: u64 = 5_000;
/// Rows are written at least every so many milliseconds: what `kill -9` can lose.
pub const FLUSH_MILLIS: u64 = 200;
/// Rows are written as soon as there are so many, and so many at a time.
pub const FLUSH_ROWS: usize = 1_000;
/// Longest pause between two attempts to write, in milliseconds.
pub const FLUSH_RETRY_MILLIS_MAX: u64 = 2_000;
/// Bytes of text a tokenizer reads of one call; what is beyond is extrapolated. A quarter of a second
/// at the pace of the slowest text.
pub const TOKENIZER_BYTES_MAX: usize = super::MIB;
/// Tokens an image or a sound counts for, whatever its size: about what a common model takes for an
/// image of a megapixel. Their base64 would count for a hundred times that.
pub const MEDIA_TOKENS: u64 = 1_500;
/// Elements of `content` that are looked at one by one; the text of what is beyond counts by bytes.
pub const CONTENT_ITEMS_MAX: usize = 10_000;
/// Largest number of tokens an upstream may report for a call; more is refused. Larger than any
/// model's window.
pub const REPORTED_TOKENS_MAX: u64 = 100_000_000;
/// Places for averages of results, 8 bytes each; where two items share one, the later has it.
pub const AVERAGED_ITEMS_MAX: usize = 32_768;
/// Tokens back that are expected of an item nobody has called yet.
pub const EXPECTED_TOKENS: u64 = 500;
/// Largest figure of one row: tokens, bytes, milliseconds or millionths.
pub const FIGURE_MAX: i64 = 1_000_000_000_000_000;
/// Entries of the price book.
pub const PRICE_ENTRIES_MAX: usize = 1_000;
/// Patterns of one entry.
pub const PRICE_ITEMS_MAX: usize = 1_000;
/// Largest price, in millionths: ten million of the currency.
pub const PRICE_MICROS_MAX: i64 = 10_000_000_000_000;
/// Groups in one answer of the ledger.
pub const GROUPS_MAX: usize = 100_000;
/// Groups in one answer of the operator's listener.
pub const GROUPS_SHOWN_MAX: usize = 10_000;
/// Longest text of a row, in bytes; resources have URIs of any length. What is cut ends with `…`.
pub const ROW_TEXT_BYTES_MAX: usize = 1_024;
/// Largest `usage` object of an upstream that is read, in bytes.
pub const REPORT_BYTES_MAX: usize = 16 * super::KIB;
/// Largest structured content that is compared with the text beside it by its meaning, in bytes;
/// larger ones are compared byte by byte without their white space.
pub const COMPARED_BYTES_MAX: usize = 256 * super::KIB;
/// Old rows are looked for every so many seconds.
pub const SWEEP_SECS: u64 = 3_600;
