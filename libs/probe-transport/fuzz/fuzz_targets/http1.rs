//! Any bytes as the answer of a website: the hop ends, and keeps to its bounds.
#![no_main]

use libfuzzer_sys::fuzz_target;
use probe_transport::answer::Progress;
use probe_transport::hop::Hop;
use probe_transport::http1::exchange;

fuzz_target!(|data: &[u8]| {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let mut hop = Hop { method: "GET".into(), expected: vec![(200, 299)], max_body: 1000, follow: true, ..Hop::default() };
    assert!(hop.set_url("http://example.org/"));
    for piece in [1, data.len().max(1)] {
        let mut progress = Progress::default();
        let reader = Pieces { data, piece };
        let mut stream = tokio::io::join(reader, tokio::io::sink());
        let _ = runtime.block_on(exchange(&mut stream, &hop, &mut progress));
        assert!(progress.body_length() <= 1000 + 16 * 1024);
    }
});

/// Hands out so many bytes at a time.
struct Pieces<'a> {
    data: &'a [u8],
    piece: usize,
}

impl tokio::io::AsyncRead for Pieces<'_> {
    fn poll_read(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
        buffer: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        let count = self.piece.min(self.data.len()).min(buffer.remaining());
        let (now, later) = self.data.split_at(count);
        buffer.put_slice(now);
        self.data = later;
        std::task::Poll::Ready(Ok(()))
    }
}
