"""What it costs a battery to send: the published constants of three radios.

What is computed from them is *modelled*: no radio is in this room.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Radio:
    """The published constants of a radio.

    Attributes
    ----------
    name : what it is called here.
    bit_rate : bits per second while it sends.
    send_watts, listen_watts : power while it sends, and while it waits for an answer.
    source : where the numbers come from.
    """

    name: str
    bit_rate: float
    send_watts: float
    listen_watts: float
    source: str

    def energy(self, num_bytes: float, wait_seconds: float = 0.0) -> float:
        """Return the joules to send so many bytes and then to listen for so many seconds.

        *Modelled*, and a lower bound: headers, acknowledgements, repetitions and joining
        the network come on top.

        Raises
        ------
        ValueError
            If a number is NaN or negative.

        Taught in: notebooks/01_why_the_edge.ipynb
        """
        if not (num_bytes >= 0 and wait_seconds >= 0):
            raise ValueError(
                f"expected bytes and seconds from 0, got {num_bytes} and {wait_seconds}"
            )
        return self.send_watts * 8 * num_bytes / self.bit_rate + self.listen_watts * wait_seconds


WIFI = Radio(
    "Wi-Fi",
    bit_rate=65e6,
    send_watts=3.3 * 180e-3,
    listen_watts=3.3 * 95e-3,
    source="Espressif ESP32 Series Datasheet, RF power consumption at 3.3 V (802.11n MCS7 at "
    "+14 dBm: 180 mA sending; 95 to 100 mA receiving); IEEE 802.11n (MCS7, 20 MHz: 65 Mbit/s)",
)
BLUETOOTH = Radio(
    "Bluetooth Low Energy",
    bit_rate=1e6,
    send_watts=3.0 * 7.1e-3,
    listen_watts=3.0 * 6.5e-3,
    source="Nordic nRF52832 Product Specification 1.1, current consumption of the radio at 3 V "
    "(1 Mbit/s: 7.1 mA sending at 0 dBm, 6.5 mA receiving)",
)
LORA = Radio(
    "LoRa",
    bit_rate=7 * 125e3 / 2**7 * 4 / 5,
    send_watts=3.3 * 29e-3,
    listen_watts=3.3 * 9.9e-3,
    source="Semtech SX1276 datasheet (29 mA sending at +13 dBm, 9.9 mA receiving, at 3.3 V; "
    "bit rate SF · bandwidth / 2^SF · code rate, here spreading factor 7, 125 kHz, 4/5)",
)
RADIOS = (WIFI, BLUETOOTH, LORA)
