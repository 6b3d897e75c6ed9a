"""Names for roads, regulators and districts, Chinese and English, none of them twice."""

from __future__ import annotations

_ROADS = (
    ("Jianshe", "建设"), ("Minzhu", "民主"), ("Heping", "和平"), ("Renmin", "人民"), ("Jiefang", "解放"),
    ("Guangming", "光明"), ("Xinhua", "新华"), ("Wenhua", "文化"), ("Gongyuan", "公园"), ("Tiyu", "体育"),
    ("Binjiang", "滨江"), ("Yingbin", "迎宾"), ("Chang'an", "长安"), ("Zhongshan", "中山"), ("Dongfeng", "东风"),
    ("Hongqi", "红旗"), ("Youyi", "友谊"), ("Tuanjie", "团结"), ("Xingfu", "幸福"), ("Fumin", "富民"),
    ("Chaoyang", "朝阳"), ("Huaihe", "淮河"), ("Taishan", "泰山"), ("Kunlun", "昆仑"),
)  # fmt: skip
_PARTS = (("", ""), (" East", "东"), (" West", "西"), (" South", "南"), (" North", "北"), (" Middle", "中"))


def road(number: int) -> tuple[str, str]:
    """Return the English and the Chinese name of the n-th road, from 0."""
    turn, name = divmod(number, len(_ROADS))
    section, part = divmod(turn, len(_PARTS))
    english, chinese = _ROADS[name]
    of_section = (f" Section {section + 1}", f"{section + 1}段") if section else ("", "")
    return f"{english}{_PARTS[part][0]} Road{of_section[0]}", f"{chinese}{_PARTS[part][1]}路{of_section[1]}"


def zone_name(number: int) -> str:
    """Name the n-th regulator zone, from 0."""
    english, chinese = road(number)
    return f"{chinese}片区 {english}"


def district_name(number: int) -> str:
    """Name the n-th district, from 0."""
    return f"第{number + 1}区 District {number + 1}"


def station_name(number: int) -> str:
    """Name the station of the n-th district, from 0."""
    return f"第{number + 1}区站 District {number + 1} station"


def building_name(zone_number: int, number: int) -> str:
    """Name the n-th apartment house of a zone, from 0."""
    english, chinese = road(zone_number)
    return f"{chinese}{number + 1}号楼 Building {number + 1}, {english}"
