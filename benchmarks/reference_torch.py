"""The default network written by hand in PyTorch, as the peer that ours is timed against.

Same layers, sizes, losses, optimizer and batches; windows are gathered by row number on
the device, which is the fastest simple way. Nothing of Moodtape is imported.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy, mse_loss, pad


class Peer(nn.Module):
    """Convolutions and an LSTM on the market, a GRU on the texts, a gate, three heads.

    Args:
        settings: the `[network]` section: sizes by name.
        keys: targets, in order.
    """

    def __init__(self, settings: Any, market: int, subject: int, keys: tuple[str, ...]) -> None:
        super().__init__()
        s = settings
        self.settings, self.keys = s, keys
        self.conv_1 = nn.Conv1d(market, s.filters, s.kernel)
        self.conv_2 = nn.Conv1d(s.filters, s.filters, 3)
        self.pool = nn.MaxPool1d(s.pool)
        self.market = nn.LSTM(s.filters, s.market_units, batch_first=True)
        self.market_newest = nn.Linear(market, s.market_units)
        self.subject = nn.GRU(subject, s.sentiment_units, batch_first=True)
        self.subject_newest = nn.Linear(subject, s.sentiment_units)
        text = 2 * s.sentiment_units
        self.gate = nn.Linear(2 * s.market_units + text, text)
        self.hidden = nn.Linear(2 * s.market_units + text, s.hidden)
        self.heads = nn.ModuleList(nn.Linear(s.hidden, 1) for _ in keys)
        self.drop = nn.Dropout(s.dropout)

    def forward(self, market: Any, subject: Any) -> dict[str, Any]:
        """Return answers by key, (batch, 1). (batch, lookback, Fm), (batch, lookback, Fs)"""
        x = market.transpose(1, 2)
        x = self.conv_1(pad(x, (self.settings.kernel - 1, 0))).relu()
        x = self.pool(self.conv_2(pad(x, (2, 0))).relu()).transpose(1, 2)
        _, (state, _) = self.market(x)
        one = self.drop(torch.cat([state[0], self.market_newest(market[:, -1]).tanh()], 1))
        _, state = self.subject(subject)
        two = self.drop(torch.cat([state[0], self.subject_newest(subject[:, -1]).tanh()], 1))
        gate = self.gate(torch.cat([one, two], 1)).sigmoid()
        hidden = self.drop(self.hidden(torch.cat([one, two * gate], 1)).relu())
        answers = {k: head(hidden) for k, head in zip(self.keys, self.heads, strict=True)}
        return {k: v.sigmoid() if k.startswith("direction") else v for k, v in answers.items()}


class PeerFit:
    """A peer with its data on a device, ready for epochs."""

    def __init__(
        self, settings: Any, columns: dict[str, Any], answers: dict[str, Any], device: str
    ) -> None:
        def there(values: Any) -> Any:
            return torch.as_tensor(np.asarray(values, dtype=np.float32), device=device)

        torch.manual_seed(0)
        self.device = device
        self.columns = {key: there(values) for key, values in columns.items()}
        self.answers = {key: there(y)[:, None] for key, y in answers.items()}
        self.steps = {
            "market": torch.arange(1 - settings.lookback_bars, 1, device=device),
            "subject": torch.arange(1 - settings.sentiment_lookback_bars, 1, device=device),
        }
        sizes = (columns["market"].shape[1], columns["subject"].shape[1])
        self.network = Peer(settings, *sizes, tuple(answers)).to(device)
        self.optimizer = torch.optim.Adam(self.network.parameters(), 1e-3, eps=1e-7)

    def epoch(self, rows: Any, batch: int) -> float:
        """Train on some rows in a drawn order and return the mean loss."""
        self.network.train()
        order = torch.as_tensor(np.random.default_rng(0).permutation(rows), device=self.device)
        total = torch.zeros((), device=self.device)
        parts = order.split(batch)
        for row in parts:
            windows = {
                key: matrix[row[:, None] + self.steps[key]] for key, matrix in self.columns.items()
            }
            answers = self.network(windows["market"], windows["subject"])
            loss = sum(
                (binary_cross_entropy if key.startswith("direction") else mse_loss)(
                    answers[key], self.answers[key][row]
                )
                for key in answers
            )
            self.optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
            self.optimizer.step()
            total += loss.detach()
        return float(total) / len(parts)

    def predict(self, rows: Any, batch: int = 512) -> dict[str, Any]:
        """Return the answers at some rows by key, (n,)."""
        self.network.eval()
        found: dict[str, list[Any]] = {key: [] for key in self.answers}
        with torch.no_grad():
            for row in torch.as_tensor(np.asarray(rows), device=self.device).split(batch):
                windows = {
                    key: matrix[row[:, None] + self.steps[key]]
                    for key, matrix in self.columns.items()
                }
                answers = self.network(windows["market"], windows["subject"])
                for key, values in answers.items():
                    found[key].append(values[:, 0].cpu().numpy())
        return {key: np.concatenate(parts) for key, parts in found.items()}
