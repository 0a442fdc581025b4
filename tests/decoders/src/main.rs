//! libFuzzer around the decoder that `OVERLAY_DECODER` names.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(init: overlay_decoders::choose(), |input| {
    overlay_decoders::read(input);
});
