"""The way to the backend: one request there, one response back. Knows no room."""

from waitroom.proxy.app import Proxy, ProxyObserver, ProxyOptions, ResponseBroken
from waitroom.proxy.websocket import Tunnel

__all__ = ["Proxy", "ProxyObserver", "ProxyOptions", "ResponseBroken", "Tunnel"]
