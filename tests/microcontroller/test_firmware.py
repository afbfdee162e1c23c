"""Firmware on emulated cores: its sizes, its instructions, and how its faults are told."""

import _thread
import threading

import numpy as np
import pytest
import unicorn

from edge_course import data
from edge_course.microcontroller.compiler import CompileError, compile_c
from edge_course.microcontroller.cores import A53, CORES, M0_PLUS, M4, RISC_V
from edge_course.microcontroller.emulator import Board, CoreError
from edge_course.microcontroller.firmware import STACK_BYTES, build
from edge_course.microcontroller.to_c import to_c

ENTRIES = ("f",)


def board(body: str, core=M4, head: str = "") -> Board:
    text = f"#include <stdint.h>\n{head}\nint32_t f(int32_t, int32_t);\n"
    text += f"int32_t f(int32_t a, int32_t b) {{ (void)a; (void)b; {body} }}\n"
    return Board(build({"f.c": text}, core, entries=ENTRIES))


@pytest.fixture(scope="module")
def compressed():
    return to_c(data.read("compressed_20.tflite"))


def test_the_compressed_network_fits_a_small_chip(compressed) -> None:
    firmware = build(compressed.files, M4)
    run = Board(firmware).measure("model_run")
    assert firmware.flash_bytes <= 16_500
    assert firmware.static_bytes == 7_232
    assert firmware.static_bytes + run.stack_bytes <= 7_500
    assert run.instructions <= 580_000


def test_two_products_at_once_save_a_third_of_a_layer(compressed) -> None:
    """Kept apart, each operator is a function that can be counted."""
    apart = ("-O2", "-DOPERATOR=__attribute__((noinline))", "-Wno-missing-prototypes")
    counts = []
    for flags in (apart, (*apart, "-DMODEL_PLAIN")):
        machine = Board(build(compressed.files, M4, flags))
        counts.append(machine.measure("conv_2d_6", 0x2000_0400, 0x2000_1000).instructions)
    assert counts[1] >= 1.3 * counts[0]


def test_a_network_that_is_too_large_says_by_how_much() -> None:
    source = to_c(data.read("seed_cnn_int8.tflite"))
    small = M4._replace(flash_bytes=256 * 1024)
    with pytest.raises(CompileError, match=r"'flash': overflowed by \d+ bytes"):
        build(source.files, small)
    with pytest.raises(CompileError, match=r"'ram': overflowed by \d+ bytes"):
        build(source.files, M4._replace(ram_bytes=16 * 1024))


@pytest.mark.parametrize("core", [*CORES, A53], ids=lambda core: core.name)
def test_a_function_returns_what_it_computes(core) -> None:
    machine = board("return a * 3 - b;", core)
    assert machine.call("f", 7, -5) == 26
    assert machine.call("f", -(2**31), 0) == -(2**31)  # 32 bits wrap around, as on the chip


@pytest.mark.parametrize("core", [*CORES, A53], ids=lambda core: core.name)
def test_variables_are_set_at_the_start(core) -> None:
    head = "static volatile int32_t set[2] = {40, 50}, unset[3];"
    machine = board("unset[a] += b; return set[a] + unset[a];", core, head=head)
    assert [machine.call("f", 1, 7) for _ in range(3)] == [57, 64, 71]
    assert machine.firmware.static_bytes == 4 * (2 + 3)


def test_instructions_are_those_of_the_loop() -> None:
    machine = board(
        'for (int32_t i = 0; i < a; i++) __asm__ volatile("nop\\nnop\\nnop"); return b;'
    )
    few, many = (machine.measure("f", n, 0).instructions for n in (10, 110))
    assert (many - few) % 100 == 0
    assert 4 <= (many - few) // 100 <= 7  # three, and counting and jumping


def test_the_stack_is_measured_where_it_was_written() -> None:
    machine = board("volatile int32_t x[64]; for (int i = 63; i >= 0; i--) x[i] = a; return x[b];")
    assert 256 <= machine.measure("f", 1, 0).stack_bytes <= 300


@pytest.mark.parametrize("core", [M0_PLUS, M4, RISC_V, A53], ids=lambda core: core.name)
def test_a_stack_that_is_too_deep_faults_and_names_the_function(core) -> None:
    deep = "static int32_t deep(int32_t n) { volatile int32_t x[16]; x[0] = n; "
    deep += "return n ? deep(n - 1) + x[0] : 0; }"
    machine = board("return deep(a) + b;", core, head=deep)
    assert machine.call("f", 5, 0) == 15
    with pytest.raises(CoreError, match=r"f: .*at address 0x[0-9a-f]{8}, in (deep|f) \+ \d+"):
        machine.call("f", STACK_BYTES, 0)


@pytest.mark.parametrize("core", [M0_PLUS, M4, RISC_V, A53], ids=lambda core: core.name)
@pytest.mark.parametrize(
    "body",
    [
        "return *(volatile int32_t *)(uintptr_t)(a + 0x40000000) + b;",  # no memory there
        "*(volatile int32_t *)(uintptr_t)(a + 0x08000000) = b; return 0;",  # flash is not written
        "((int32_t (*)(void))(uintptr_t)(a + 0x60000001))(); return b;",  # no program there
    ],
)
def test_a_program_that_leaves_its_memories_faults(core, body) -> None:
    machine = board(body, core)
    with pytest.raises(CoreError, match="at address 0x"):
        machine.call("f", 0, 0)


def test_a_program_without_an_end_is_stopped() -> None:
    endless = board('for (;;) { __asm__ volatile(""); }', M4).firmware
    with pytest.raises(CoreError, match=r"f: no end after 0.3 s, .* in f \+"):
        Board(endless, longest_call=0.3).call("f", 0, 0)
    waiting = board('__asm__ volatile("wfi"); return 0;')
    with pytest.raises(CoreError, match=r"f: the core waits for good, .* in f \+"):
        waiting.call("f", 0, 0)


def test_an_interrupt_is_not_lost_while_instructions_are_counted() -> None:
    endless = Board(board('for (;;) { __asm__ volatile(""); }').firmware, longest_call=0.5)
    threading.Timer(0.1, _thread.interrupt_main).start()
    with pytest.raises(KeyboardInterrupt):
        endless.measure("f", 0, 0)
    with pytest.raises(CoreError, match="no end"):
        endless.measure("f", 0, 0)


@pytest.mark.parametrize("arguments", [(1, 2, 3, 4, 5), (2**32,), (-(2**31) - 1,)])
def test_arguments_that_fit_no_register_are_refused(arguments) -> None:
    with pytest.raises(ValueError, match="up to four whole numbers of 32 bits"):
        board("return 0;").call("f", *arguments)


def test_a_function_that_is_not_there_is_named() -> None:
    with pytest.raises(ValueError, match="no g in the program; entries= of build"):
        board("return 0;").call("g")


@pytest.mark.parametrize("core", [M0_PLUS, RISC_V, A53], ids=lambda core: core.name)
def test_instructions_are_those_that_a_hook_on_each_sees(compressed, core) -> None:
    """On cores without conditional instructions: the hook does not see those that are left out."""
    firmware, seen = build(compressed.files, core), []
    machine = Board(firmware)
    machine._machine.hook_add(unicorn.UC_HOOK_CODE, lambda *_: seen.append(0))
    machine.call("model_run")
    assert Board(firmware).measure("model_run").instructions == len(seen)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("int f(void) { return 1 }", r"f\.c:1:\d+: error: expected ';'"),
        ("int f(int a) { return 1; }", "no previous prototype|unused parameter"),
        ("int g(void); int f(void); int f(void) { return g(); }", "undefined symbol: g"),
        ("int g(void); int g(void) { return 1; }", r"no f in f\.c"),
    ],
)
def test_the_first_complaint_of_the_compiler_is_the_error(text, message) -> None:
    with pytest.raises(CompileError, match=message):
        build({"f.c": text}, M4, entries=ENTRIES)


def test_nothing_is_left_in_the_working_folder(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    compile_c({"f.c": "int f(void); int f(void) { return 1; }"}, ["-shared", "-O2"])
    assert not list(tmp_path.iterdir())


def test_the_codes_are_those_of_the_last_run(compressed) -> None:
    """A run uses the input's place in the arena: the same input twice must be written twice."""
    machine = Board(build(compressed.files, M4))
    x = np.random.default_rng(0).integers(-128, 128, (3, 784), np.int8)
    assert np.array_equal(machine.run(compressed, x)[::-1], machine.run(compressed, x[::-1]))
